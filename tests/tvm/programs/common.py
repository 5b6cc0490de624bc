# SPDX-License-Identifier: Apache-2.0
"""Code shared by the programs of this folder.

They run in TVM's interpreter, with a platform on PYTHONPATH.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import psutil
import tvm
from tvm import relay

from runtime.host import tvm_micro

tvm_micro.enable()
from tvm import micro  # noqa: E402 (there since the line before)

__all__ = ["answers", "archive", "children", "compiled", "left", "micro", "report", "sockets"]

DATA = Path(__file__).resolve().parents[2] / "data"


def report(**found: object) -> None:
    """Print the values that the test compares, as the last line of a program."""
    print(json.dumps(found))


def compiled(
    executor: str, **executor_options: object
) -> Tuple[Any, np.ndarray, np.ndarray, Dict[str, np.ndarray]]:
    """Compile a small convolution and a dense layer to C.

    Returns:
        Module, input, expected answer, and weights.
    """
    draw = np.random.RandomState(1)
    params = {
        "w": draw.randint(-8, 8, (4, 2, 3, 3)).astype("int8"),
        "d": draw.randint(-8, 8, (3, 64)).astype("int32"),
    }
    x = relay.var("x", shape=(1, 2, 4, 4), dtype="int8")
    w = relay.var("w", shape=(4, 2, 3, 3), dtype="int8")
    d = relay.var("d", shape=(3, 64), dtype="int32")
    y = relay.nn.conv2d(x, w, padding=(1, 1), kernel_size=(3, 3), channels=4, out_dtype="int32")
    y = relay.nn.dense(relay.nn.batch_flatten(relay.nn.relu(y)), d, out_dtype="int32")
    module = tvm.IRModule.from_expr(relay.Function([x, w, d], y))
    with tvm.transform.PassContext(opt_level=3, config={"tir.disable_vectorize": True}):
        built = relay.build(
            module,
            target=tvm.target.Target("c"),
            executor=relay.backend.Executor(executor, executor_options),
            runtime=relay.backend.Runtime("crt", {"system-lib": True}),
            params=params,
        )
    data = draw.randint(-8, 8, (1, 2, 4, 4)).astype("int8")
    return built, data, reference(params, data), params


def reference(params: Dict[str, np.ndarray], data: np.ndarray) -> np.ndarray:
    """Compute the model of `compiled` in numpy."""
    padded = np.pad(data.astype("int32"), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    convolved = np.einsum("nchwij,ocij->nohw", windows, params["w"].astype("int32"))
    answer: np.ndarray = np.maximum(convolved, 0).reshape(1, -1) @ params["d"].T
    return answer


def archive(name: str) -> Tuple[str, str, Dict[str, np.ndarray], List[np.ndarray]]:
    """Return path, graph, inputs and outputs of a model archive of the tests."""
    path = DATA / name
    arrays = dict(np.load(f"{path}.npz"))
    inputs = {key[6:]: value for key, value in arrays.items() if key.startswith("input_")}
    outputs = [value for key, value in sorted(arrays.items()) if key.startswith("output_")]
    with tarfile.open(f"{path}.tar") as members:
        graphs = [member for member in members.getmembers() if member.name.endswith(".graph")]
        file = members.extractfile(graphs[0]) if graphs else None
        graph = file.read().decode() if file else ""
    return f"{path}.tar", graph, inputs, outputs


def answers(executor: Any, inputs: Dict[str, np.ndarray], outputs: List[np.ndarray]) -> bool:
    """Return whether an executor gives the archive's outputs."""
    for name, value in inputs.items():
        executor.set_input(name, value)
    executor.run()
    return all(
        np.allclose(executor.get_output(index).numpy(), output, rtol=1e-5, atol=1e-5)
        for index, output in enumerate(outputs)
    )


def children(name: str = "") -> List[Any]:
    """Return the running descendants of this process."""
    running = psutil.Process().children(recursive=True)
    return [
        process
        for process in running
        if process.status() != psutil.STATUS_ZOMBIE and name in (process.name(), "")
    ]


def left() -> int:
    """Return the number of descendants that do not exit within 10 s."""
    return len(psutil.wait_procs(children(), timeout=10)[1])


def sockets() -> int:
    """Return the number of open sockets of this process."""
    return len(psutil.Process().connections(kind="all"))
