# SPDX-License-Identifier: Apache-2.0
"""Archives of TVM's hand-written kernels for Cortex-M, with answers.

Usage: arm_kernels.py FOLDER CASE...

A case is TARGET:EXECUTOR:PLAN, such as `m4:aot:planned`, and becomes m4_aot_planned.tar and .npz. Its net has
every kernel of KERNELS as one output each. The answers are computed by TVM's LLVM code on this machine, with
weights in the layouts of TVM's x86 schedules.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[3]))
os.environ["TOPHUB_LOCATION"] = "NONE"  # otherwise TVM downloads tuned schedules for arm_cpu

import tvm
from common import report
from tvm import relay

from examples.digits.tvm_wheel import build, exported, host_run, tarred

TARGETS = {
    "m4": "c -keys=arm_cpu,cpu -mcpu=cortex-m4",
    "m7": "c -keys=arm_cpu,cpu -mcpu=cortex-m7",
    "m33": "c -keys=arm_cpu,cpu -mcpu=cortex-m33",
    "stm32f746xx": str(tvm.target.target.micro("stm32f746xx")),
    "plain": "c -keys=cpu -model=host",
}
MICRO_KERNELS = r"(?:gemm|gemm16|max8|sum16|tensordot|kernel_convolve|multi_channel_convolve)_\w+"


Shape = Tuple[int, ...]


class Net:
    """Inputs, constants and outputs of a net, drawn from one seeded generator.

    Args:
        on_host: Store weights in the layouts of x86 schedules.
    """

    def __init__(self, on_host: bool) -> None:
        self.on_host = on_host
        self.draw = np.random.RandomState(7)
        self.inputs: Dict[str, np.ndarray] = {}
        self.variables: List[Any] = []
        self.outputs: List[Any] = []

    def numbers(self, shape: Shape, dtype: str) -> np.ndarray:
        """Return numbers of the whole range, so that sums of 8-bit products need 32 bits."""
        limits = {"int8": (-128, 128), "int16": (-300, 300), "int32": (-1000, 1000)}[dtype]
        return self.draw.randint(*limits, shape).astype(dtype)

    def input(self, shape: Shape, dtype: str) -> Any:
        name = f"x{len(self.variables)}"
        self.inputs[name] = self.numbers(shape, dtype)
        self.variables.append(relay.var(name, shape=shape, dtype=dtype))
        return self.variables[-1]

    def weight(self, shape: Shape, dtype: str) -> Any:
        return relay.const(self.numbers(shape, dtype))

    def kernel(self, shape: Shape, dtype: str, layout: str, groups: int = 1) -> Tuple[Any, str]:
        """Return a weight and its layout."""
        numbers = self.numbers(shape, dtype)
        if self.on_host and groups == 1 and layout != "OIHW":
            plain = "HWIO" if len(layout) == 4 else "WIO"
            return relay.const(numbers.transpose([layout.index(axis) for axis in plain])), plain
        return relay.const(numbers), layout

    def module(self) -> Any:
        return tvm.IRModule.from_expr(relay.Function(self.variables, relay.Tuple(self.outputs)))


def conv2d(
    net: Net, dtype: str, shape: Shape, kernel: Shape, layouts: Tuple[str, str], **attributes: Any
) -> None:
    data_layout, kernel_layout = layouts
    size = tuple(kernel[kernel_layout.index(axis)] for axis in "HW")
    weight, kernel_layout = net.kernel(kernel, dtype, kernel_layout, attributes.get("groups", 1))
    net.outputs.append(
        relay.nn.conv2d(
            net.input(shape, dtype),
            weight,
            kernel_size=size,
            data_layout=data_layout,
            kernel_layout=kernel_layout,
            out_dtype="int32",
            **attributes,
        )
    )


def conv1d(net: Net, dtype: str, shape: Shape, kernel: Shape, **attributes: Any) -> None:
    weight, layout = net.kernel(kernel, dtype, "WOI")
    net.outputs.append(
        relay.nn.conv1d(
            net.input(shape, dtype),
            weight,
            kernel_size=kernel[0],
            channels=kernel[1],
            data_layout="NWC",
            kernel_layout=layout,
            out_dtype="int32",
            **attributes,
        )
    )


def dense(net: Net, dtype: str, rows: int, inputs: int, units: int) -> None:
    x = net.input((rows, inputs), dtype)
    net.outputs.append(relay.nn.dense(x, net.weight((units, inputs), dtype), out_dtype="int32"))


def largest(
    net: Net, operator: Callable[..., Any], dtype: str, shape: Shape, layout: str, **attributes: Any
) -> None:
    net.outputs.append(operator(net.input(shape, dtype), layout=layout, **attributes))


def average(
    net: Net, operator: Callable[..., Any], dtype: str, shape: Shape, layout: str, **attributes: Any
) -> None:
    """Append an average whose result is cast to int32.

    TVM's code has that type whatever the graph declares. Without a cast it writes past an output of 8 or 16
    bits.
    """
    x = net.input(shape, dtype)
    if (
        dtype == "int8"
    ):  # the sum has only 8 bits otherwise; importers of quantized models also write this cast
        x = relay.cast(x, "int32")
    net.outputs.append(relay.cast(operator(x, layout=layout, **attributes), "int32"))


def quantized(
    net: Net, shape: Shape, kernel: Shape, layouts: Tuple[str, str], groups: int, **attributes: Any
) -> None:
    """Append a convolution as the importers of quantized models write it."""
    data_layout, kernel_layout = layouts
    channels = groups if groups > 1 else kernel[kernel_layout.index("O")]
    convolved = relay.qnn.op.conv2d(
        net.input(shape, "int8"),
        net.weight(kernel, "int8"),
        input_zero_point=relay.const(3),
        kernel_zero_point=relay.const(0),
        input_scale=relay.const(0.04),
        kernel_scale=relay.const(np.linspace(0.002, 0.01, channels).astype("float32")),
        kernel_size=tuple(kernel[kernel_layout.index(axis)] for axis in "HW"),
        data_layout=data_layout,
        kernel_layout=kernel_layout,
        channels=channels,
        groups=groups,
        out_dtype="int32",
        **attributes,
    )
    axis = data_layout.index("C")
    biased = relay.nn.bias_add(convolved, net.weight((channels,), "int32"), axis=axis)
    net.outputs.append(
        relay.qnn.op.requantize(
            biased,
            input_scale=relay.const(np.linspace(0.00008, 0.0004, channels).astype("float32")),
            input_zero_point=relay.const(0),
            output_scale=relay.const(0.2),
            output_zero_point=relay.const(-5),
            axis=axis,
            out_dtype="int8",
        )
    )


HWOI, NCHW = ("NHWC", "HWOI"), ("NCHW", "OIHW")
MAX1D, MAX2D, AVG1D, AVG2D = (
    relay.nn.max_pool1d,
    relay.nn.max_pool2d,
    relay.nn.avg_pool1d,
    relay.nn.avg_pool2d,
)

KERNELS: Dict[str, Tuple[Any, ...]] = {
    "conv2d gemm": (conv2d, "int8", (1, 8, 8, 8), (3, 3, 4, 8), HWOI),
    "conv2d gemm, odd": (conv2d, "int8", (1, 5, 7, 3), (2, 3, 5, 3), HWOI),
    "conv2d gemm, padded, strided": (
        conv2d,
        "int8",
        (1, 9, 9, 4),
        (3, 3, 6, 4),
        HWOI,
        {"padding": (1, 1), "strides": (2, 2)},
    ),
    "conv2d gemm, 1x1": (conv2d, "int8", (1, 6, 6, 16), (1, 1, 8, 16), HWOI),
    "conv2d gemm, int16": (conv2d, "int16", (1, 6, 6, 4), (3, 3, 4, 4), HWOI),
    "conv2d gemm, int16, odd": (conv2d, "int16", (1, 5, 5, 3), (2, 2, 3, 3), HWOI),
    "depthwise NHWC": (conv2d, "int8", (1, 8, 8, 8), (3, 3, 8, 1), HWOI, {"groups": 8, "channels": 8}),
    # With strides, TVM's kernel is wrong if no window reads the last number of a row of the padded input.
    "depthwise NHWC, padded": (
        conv2d,
        "int8",
        (1, 8, 8, 4),
        (3, 3, 4, 1),
        HWOI,
        {"groups": 4, "channels": 4, "padding": (1, 1)},
    ),
    "depthwise NHWC, strided": (
        conv2d,
        "int8",
        (1, 8, 8, 4),
        (3, 3, 4, 1),
        HWOI,
        {"groups": 4, "channels": 4, "padding": (0, 0, 1, 1), "strides": (2, 2)},
    ),
    "depthwise NHWC, int16": (
        conv2d,
        "int16",
        (1, 6, 6, 4),
        (3, 3, 4, 1),
        HWOI,
        {"groups": 4, "channels": 4},
    ),
    "depthwise NCHW": (conv2d, "int8", (1, 4, 7, 7), (4, 1, 3, 3), NCHW, {"groups": 4, "channels": 4}),
    "conv1d": (conv1d, "int8", (1, 16, 8), (3, 4, 8)),
    "conv1d, odd": (conv1d, "int8", (1, 9, 3), (2, 5, 3), {"padding": (1, 0), "strides": 2}),
    "conv1d, int16": (conv1d, "int16", (1, 10, 4), (3, 4, 4)),
    "dense": (dense, "int8", 1, 32, 16),
    "dense, odd": (dense, "int8", 3, 37, 7),
    "dense, int16": (dense, "int16", 2, 18, 6),
    "max_pool2d": (largest, MAX2D, "int8", (1, 8, 8, 8), "NHWC", {"pool_size": (2, 2), "strides": (2, 2)}),
    "max_pool2d, odd": (
        largest,
        MAX2D,
        "int8",
        (1, 7, 7, 5),
        "NHWC",
        {"pool_size": (3, 2), "strides": (1, 1), "padding": (1, 0)},
    ),
    "max_pool1d": (largest, MAX1D, "int8", (1, 12, 6), "NWC", {"pool_size": (3,), "strides": (2,)}),
    "avg_pool2d": (average, AVG2D, "int16", (1, 4, 8, 8), "NCHW", {"pool_size": (2, 2), "strides": (2, 2)}),
    "avg_pool2d, odd": (
        average,
        AVG2D,
        "int16",
        (1, 3, 7, 7),
        "NCHW",
        {"pool_size": (3, 3), "strides": (2, 2)},
    ),
    "avg_pool2d, padded": (
        average,
        AVG2D,
        "int16",
        (1, 2, 6, 6),
        "NCHW",
        {"pool_size": (3, 3), "strides": (1, 1), "padding": (1, 1)},
    ),
    "avg_pool1d": (average, AVG1D, "int16", (1, 4, 12), "NCW", {"pool_size": (3,), "strides": (3,)}),
    "avg_pool2d, int8": (
        average,
        AVG2D,
        "int8",
        (1, 4, 4, 4),
        "NHWC",
        {"pool_size": (2, 2), "strides": (2, 2)},
    ),
    "quantized conv2d": (quantized, (1, 8, 8, 4), (3, 3, 4, 8), ("NHWC", "HWIO"), 1),
    "quantized conv2d, padded": (
        quantized,
        (1, 6, 6, 3),
        (3, 3, 3, 4),
        ("NHWC", "HWIO"),
        1,
        {"padding": (1, 1)},
    ),
    "quantized depthwise": (quantized, (1, 8, 8, 4), (3, 3, 4, 1), HWOI, 4),
}


def net_of(names: List[str], on_host: bool = False) -> Tuple[Any, Dict[str, np.ndarray]]:
    """Return the module that has these kernels as outputs, and its inputs by name."""
    net = Net(on_host)
    for name in names:
        make, *arguments = KERNELS[name]
        attributes = arguments.pop() if isinstance(arguments[-1], dict) else {}
        make(net, *arguments, **attributes)
    return net.module(), net.inputs


def make_archive(
    folder: Path, case: str, names: List[str], inputs: Dict[str, Any], answers: List[Any]
) -> List[str]:
    """Write the archive and the answers of a case. Return the micro kernels that its C calls."""
    target, executor, plan = case.split(":")
    attributes = {"link-params": True} if executor == "graph" else {"interface-api": "packed"}
    module = net_of(names, on_host=target == "plain")[0]
    built = build(module, TARGETS[target], executor, attributes, plan_memory=plan == "planned")
    entries = exported(built)
    path = folder / case.replace(":", "_")
    path.with_suffix(".tar").write_bytes(tarred(entries))
    np.savez(
        path.with_suffix(".npz"),
        **{f"input_{name}": array for name, array in inputs.items()},
        **{f"output_{index:02}": array for index, array in enumerate(answers)},
    )
    text = b"".join(data for name, data in entries.items() if name.endswith(".c")).decode()
    return sorted({re.sub(r"_.*", "", name) for name in re.findall(MICRO_KERNELS, text)})


def main(folder: Path, *cases: str) -> None:
    names = list(KERNELS)
    module, inputs = net_of(names, on_host=True)
    answers = host_run(module)(inputs)
    found = {case: make_archive(folder, case, names, inputs, answers) for case in cases}
    report(kernels=names, called=found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
