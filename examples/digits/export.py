# SPDX-License-Identifier: Apache-2.0
"""Make digits_aot.tar, digits_graph.tar and digits_test.npz from weights.npz with TVM.

TVM comes from the `hhb-tvm` wheel, which exists for CPython 3.10 on x86-64 Linux. From the root of the
repository:

    python3.10 -m venv /tmp/digits
    /tmp/digits/bin/pip install -r examples/digits/requirements.txt
    /tmp/digits/bin/python -m examples.digits.train      # optional: weights.npz is committed
    PYTHONHASHSEED=0 setarch -R /tmp/digits/bin/python -m examples.digits.export

tvm_wheel.py explains the start of the last line.

The archives hold C from TVM's C code generator for `c -keys=cpu -model=host`, with a system library:

* digits_aot.tar: AOT executor, packed interface, unified static memory planner.
* digits_graph.tar: graph executor, parameters linked into the code.

`expected` in digits_test.npz is TVM's own answer on this machine (LLVM code, graph executor). This
computation shares only the weights with the device. The script stops if any answer differs from that of
network.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm import relay

from examples.digits import tvm_wheel
from examples.digits.network import Weights, accuracy, infer, load_split

HERE = Path(__file__).parent


def convolution(images: Any, name: str, weights: Weights) -> Any:
    """Return convolution, ReLU and the shift back to int8 as a Relay expression."""
    weight = weights[f"{name}_weight"]
    shape = {"channels": len(weight), "kernel_size": (3, 3), "padding": (1, 1)}
    sums = relay.nn.conv2d(images, relay.const(weight), out_dtype="int32", **shape)
    sums = relay.nn.relu(relay.nn.bias_add(sums, relay.const(weights[f"{name}_bias"])))
    shifted = relay.right_shift(sums, relay.const(np.int32(weights[f"{name}_shift"])))
    return relay.cast(relay.minimum(shifted, relay.const(np.int32(127))), "int8")


def network(weights: Weights) -> Any:
    """Return the Relay module: `image` int8 (1, 1, 8, 8) to int32 (1, 10)."""
    image = relay.var("image", shape=(1, 1, 8, 8), dtype="int8")
    first = relay.nn.max_pool2d(convolution(image, "conv1", weights), pool_size=(2, 2), strides=(2, 2))
    flat = relay.nn.batch_flatten(convolution(first, "conv2", weights))
    logits = relay.nn.dense(flat, relay.const(weights["dense_weight"]), out_dtype="int32")
    logits = relay.nn.bias_add(logits, relay.const(weights["dense_bias"]))
    return tvm.IRModule.from_expr(relay.Function([image], logits))


def main() -> None:
    """Write the archives and digits_test.npz. Exit if TVM and numpy differ."""
    weights = dict(np.load(HERE / "weights.npz"))
    _, _, images, labels = load_split()
    mod = network(weights)

    run = tvm_wheel.host_run(mod)
    expected = np.concatenate([run({"image": image[np.newaxis]})[0] for image in images])
    if not np.array_equal(expected, infer(images, weights)):
        raise SystemExit("Answers of TVM and network.py differ: the Relay model is not the trained network.")
    with np.load(HERE / "digits_test.npz") as data:
        others = {name: data[name] for name in data if name not in ("images", "labels", "expected")}
    np.savez_compressed(HERE / "digits_test.npz", images=images, labels=labels, expected=expected, **others)
    share = accuracy(expected, labels)
    print(f"accuracy on held-out images, TVM on this host: {share:.4f} of {len(labels)} images")

    aot = tvm_wheel.build(mod, tvm_wheel.C_TARGET, "aot", {"interface-api": "packed"}, plan_memory=True)
    graph = tvm_wheel.build(mod, tvm_wheel.C_TARGET, "graph", {"link-params": True})
    for name, built in (("digits_aot.tar", aot), ("digits_graph.tar", graph)):
        archive = tvm_wheel.tarred(tvm_wheel.exported(built))
        (HERE / name).write_bytes(archive)
        print(f"{name}: {len(archive)} bytes")


if __name__ == "__main__":
    main()
