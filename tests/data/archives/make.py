# SPDX-License-Identifier: Apache-2.0
"""Make small model archives of every known kind, each with inputs and expected outputs.

Run from the root of the repository, in the environment that examples/digits/README.md describes:

    PYTHONHASHSEED=0 setarch -R /tmp/digits/bin/python -m tests.data.archives.make

README.md in this directory describes each archive.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import tvm
from tvm import relay, te
from tvm.relay.backend import Runtime

from examples.digits.tvm_wheel import (
    C_TARGET,
    LLVM_TARGET,
    Entries,
    as_json,
    build,
    exported,
    host_run,
    tarred,
)

HERE = Path(__file__).parent
# Floats are passed to functions in integer registers, or in those of the FPU.
CORTEX_M4_TARGETS = {
    "graph_llvm_m4": "llvm -mtriple=thumbv7em-none-eabi -mcpu=cortex-m4",
    "graph_llvm_m4_hard": "llvm -mtriple=thumbv7em-none-eabihf -mcpu=cortex-m4 -mfloat-abi=hard",
}
Arrays = Dict[str, np.ndarray]


def dense() -> Tuple[Any, Arrays]:
    """Return a net of two dense layers and a softmax, float32 (1, 4) to (1, 3), and an input for it."""
    rng = np.random.default_rng(1)

    def layer(given: Any, inputs: int, outputs: int) -> Any:
        weight = relay.const(rng.normal(size=(outputs, inputs)).astype("float32"))
        bias = relay.const(rng.normal(size=outputs).astype("float32"))
        return relay.nn.bias_add(relay.nn.dense(given, weight), bias)

    x = relay.var("x", shape=(1, 4), dtype="float32")
    hidden = relay.nn.relu(layer(x, 4, 6))
    mod = tvm.IRModule.from_expr(relay.Function([x], relay.nn.softmax(layer(hidden, 6, 3))))
    return mod, {"x": rng.normal(size=(1, 4)).astype("float32")}


def product() -> Tuple[Any, Arrays]:
    """Return softmax(x (1, 4) times y (3, 4) transposed), a net without weights, and inputs for it."""
    rng = np.random.default_rng(2)
    x = relay.var("x", shape=(1, 4), dtype="float32")
    y = relay.var("y", shape=(3, 4), dtype="float32")
    mod = tvm.IRModule.from_expr(relay.Function([x, y], relay.nn.softmax(relay.nn.dense(x, y))))
    inputs = {"x": rng.normal(size=(1, 4)).astype("float32"), "y": rng.normal(size=(3, 4)).astype("float32")}
    return mod, inputs


def many() -> Tuple[Any, Arrays]:
    """Return a net with three inputs, not in alphabetical order, and four outputs, one of rank 0."""
    z = relay.var("z", shape=(2, 3), dtype="int8")
    b = relay.var("b", shape=(3,), dtype="float32")
    m = relay.var("m", shape=(4,), dtype="uint8")
    wide = relay.cast(z, "int32")
    outputs = [
        wide * relay.const(np.array([100, -200, 300], "int32")),
        relay.cast(z, "float32") * b,
        m + relay.const(np.uint8(1)),
        relay.sum(relay.cast(wide, "int64")),
    ]
    mod = tvm.IRModule.from_expr(relay.Function([z, b, m], relay.Tuple(outputs)))
    inputs = {
        "z": np.array([[1, -2, 3], [-128, 127, 0]], "int8"),
        "b": np.array([0.5, -1.25, 3.0], "float32"),
        "m": np.array([0, 1, 254, 255], "uint8"),
    }
    return mod, inputs


def operator(target: str, runtime: Any) -> Any:
    """Return one scheduled operator as a tuning run builds its candidates: int8 (8,) plus int8 (1,)."""
    first = te.placeholder((8,), dtype="int8", name="A")
    second = te.placeholder((1,), dtype="int8", name="B")
    total = te.compute((8,), lambda i: first[i] + second[0], name="C")
    schedule = te.create_schedule(total.op)
    with tvm.transform.PassContext(opt_level=3, config={"tir.disable_vectorize": True}):
        return tvm.build(schedule, [first, second, total], tvm.target.Target(target, target), runtime=runtime)


def as_version(entries: Entries, version: int) -> Entries:
    """Convert an archive of version 7 to the layout of TVM 0.8 (version 5) or of the next TVM (6).

    Both versions have the one module's object at the top level, graph.json and relay.txt. Version 5 has no
    prefix on the names of the code, no inputs and outputs in metadata.json, and a system library with a
    one-byte count.
    """
    metadata = json.loads(entries["metadata.json"])
    (module,) = metadata["modules"].values()
    module["version"] = version
    module.pop("external_dependencies", None)
    older: Entries = {}
    for path, data in entries.items():
        old_path = path.replace("src/default.relay", "src/relay.txt").replace("default.graph", "graph.json")
        if version == 5 and path.startswith("codegen/"):
            narrow = re.sub(rb'"(\\00[0-7])\\000tvmgen', rb'"\1tvmgen', data)
            older[old_path.replace("default_lib", "lib")] = narrow
        else:
            older[old_path] = data
    if version == 5:
        module["target"] = {"1": module["target"][0]}
        for main in module["memory"]["functions"]["main"]:
            del main["inputs"], main["outputs"]
    older["metadata.json"] = as_json(module)
    return older


def write(name: str, archive: bytes, inputs: Arrays, outputs: List[np.ndarray]) -> None:
    """Write an archive, and a .npz in its directory with inputs by name and outputs by index."""
    (HERE / name).write_bytes(archive)
    named: Dict[str, Any] = {f"input_{key}": value for key, value in inputs.items()}
    named.update({f"output_{index}": value for index, value in enumerate(outputs)})
    np.savez_compressed(HERE / f"{name.split('.', maxsplit=1)[0]}.npz", **named)
    print(f"{name}: {len(archive)} bytes")


def main() -> None:
    packed = {"interface-api": "packed"}
    c_interface = {"interface-api": "c", "unpacked-api": True}
    linked = {"link-params": True}
    dense_mod, dense_inputs = dense()
    product_mod, product_inputs = product()
    many_mod, many_inputs = many()
    dense_answer = dense_inputs, host_run(dense_mod)(dense_inputs)
    product_answer = product_inputs, host_run(product_mod)(product_inputs)
    many_answer = many_inputs, host_run(many_mod)(many_inputs)

    graph = exported(build(dense_mod, C_TARGET, "graph", linked))
    write("graph_c.tar", tarred(graph), *dense_answer)
    write("graph_c_plain.tar.gz", tarred(graph), *dense_answer)
    write("graph_c_gzip.tar.gz", gzip.compress(tarred(graph), mtime=0), *dense_answer)
    write("graph_c_v5.tar", tarred(as_version(graph, 5)), *dense_answer)
    write("graph_c_v6.tar", tarred(as_version(graph, 6)), *dense_answer)
    write("graph_c_params.tar", tarred(exported(build(dense_mod, C_TARGET, "graph", {}))), *dense_answer)
    write("graph_c_many.tar", tarred(exported(build(many_mod, C_TARGET, "graph", linked))), *many_answer)
    write("graph_llvm.tar", tarred(exported(build(dense_mod, LLVM_TARGET, "graph", linked))), *dense_answer)
    for name, target in CORTEX_M4_TARGETS.items():
        write(f"{name}.tar", tarred(exported(build(dense_mod, target, "graph", linked))), *dense_answer)

    aot = exported(build(dense_mod, C_TARGET, "aot", packed))
    write("aot_c.tar", tarred(aot), *dense_answer)
    write("aot_c_v6.tar", tarred(as_version(aot, 6)), *dense_answer)
    for name, target, mod, answer, plan in (
        ("aot_c_planned.tar", C_TARGET, dense_mod, dense_answer, True),
        ("aot_c_many.tar", C_TARGET, many_mod, many_answer, True),
        ("aot_llvm.tar", LLVM_TARGET, dense_mod, dense_answer, False),
        ("aot_llvm_many.tar", LLVM_TARGET, many_mod, many_answer, False),
        ("aot_llvm_planned.tar", LLVM_TARGET, product_mod, product_answer, True),
        ("aot_llvm_weightless.tar", LLVM_TARGET, dense_mod, dense_answer, True),
    ):
        write(name, tarred(exported(build(mod, target, "aot", packed, plan_memory=plan))), *answer)

    for name, mod, answer, plan in (
        ("aot_c_interface.tar", dense_mod, dense_answer, False),
        ("aot_c_interface_planned.tar", dense_mod, dense_answer, True),
        ("aot_c_interface_many.tar", many_mod, many_answer, True),
    ):
        built = build(mod, C_TARGET, "aot", c_interface, system_library=False, plan_memory=plan)
        write(name, tarred(exported(built)), *answer)
    pair = [
        build(mod, C_TARGET, "aot", c_interface, name=name, system_library=False)
        for name, mod in (("first", dense_mod), ("second", many_mod))
    ]
    (HERE / "two_modules.tar").write_bytes(tarred(exported(pair)))  # refused, so without outputs

    inputs = {"A": np.arange(-4, 4, dtype="int8"), "B": np.array([100], "int8")}
    output = tvm.nd.empty((8,), "int8")
    operator(LLVM_TARGET, Runtime("cpp"))(*map(tvm.nd.array, inputs.values()), output)
    for name, target in (("operator_c.tar", C_TARGET), ("operator_llvm.tar", LLVM_TARGET)):
        built = operator(target, Runtime("crt", {"system-lib": True}))
        write(name, tarred(exported(built)), inputs, [output.numpy()])


if __name__ == "__main__":
    main()
