# SPDX-License-Identifier: Apache-2.0
"""Random variants of operators whose forms ONNX's own tests cover in part only."""

from __future__ import annotations

import itertools
from typing import Any, Dict, Final, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from tests.compile.onnx_rewrite.running import floats, longs, model_of


class Variant(NamedTuple):
    """A model of one operator.

    Attributes:
        name: Operator and number.
        model: onnx.ModelProto.
        inputs: Arrays of the inputs.
    """

    name: str
    model: Any
    inputs: Dict[str, Any]


RESIZE_MODES: Final = (
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "half_pixel_symmetric",
)
NEAREST_MODES: Final = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def numbers(random: Any, *shape: int) -> Any:
    """Return random numbers of type float32."""
    return random.normal(0, 1, shape).astype(np.float32)


def variant(
    name: str,
    op: str,
    inputs: Dict[str, Any],
    constants: Optional[Dict[str, Any]] = None,
    order: Optional[Sequence[str]] = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
    **attributes: Any,
) -> Variant:
    """Return a model of one node."""
    from onnx import helper

    fixed = {key: np.asarray(array) for key, array in (constants or {}).items()}
    node = helper.make_node(op, list(order or [*inputs, *fixed]), list(outputs), "node", **attributes)
    wanted = [output for output in outputs if output]
    return Variant(name, model_of([node], inputs, wanted, fixed, opset), inputs)


def pools(count: int) -> Iterator[Variant]:
    """Yield pools with random geometry."""
    random = np.random.default_rng(1)
    for index in range(count):
        op = ("AveragePool", "MaxPool", "LpPool")[index % 3]
        spatial = int(random.integers(1, 3))
        kernel = [int(extent) for extent in random.integers(1, 4, spatial)]
        attributes: Dict[str, Any] = {
            "kernel_shape": kernel,
            "strides": [int(stride) for stride in random.integers(1, 4, spatial)],
            "ceil_mode": int(random.integers(0, 2)),
        }
        if random.random() < 0.4:
            attributes["dilations"] = [int(step) for step in random.integers(1, 3, spatial)]
        if random.random() < 0.3:
            attributes["auto_pad"] = str(random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
            attributes["ceil_mode"] = 0
            attributes["kernel_shape"] = [extent + 2 for extent in kernel]
            attributes.pop("dilations", None)
        else:
            attributes["pads"] = [int(random.integers(0, extent)) for extent in [*kernel, *kernel]]
        if op == "AveragePool":
            attributes["count_include_pad"] = int(random.integers(0, 2))
        data = numbers(random, 2, 3, *(int(extent) for extent in random.integers(6, 10, spatial)))
        yield variant(f"{op}_{index}", op, {"x": data}, **attributes)


def convolutions(count: int) -> Iterator[Variant]:
    """Yield convolutions with automatic pads."""
    random = np.random.default_rng(2)
    for index in range(count):
        op = ("Conv", "ConvTranspose")[index % 2]
        spatial = int(random.integers(1, 3))
        strides = [int(stride) for stride in random.integers(1, 4, spatial)]
        kernel = [int(random.integers(stride, stride + 3)) for stride in strides]
        attributes: Dict[str, Any] = {
            "strides": strides,
            "auto_pad": str(random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])),
        }
        data = numbers(random, 1, 2, *(int(extent) for extent in random.integers(6, 10, spatial)))
        weights = numbers(random, 2, 2, *kernel)
        constants = {"w": weights, "b": numbers(random, 2)}
        yield variant(f"{op}_{index}", op, {"x": data}, constants, **attributes)


def resizes() -> Iterator[Variant]:
    """Yield Resize with each coordinate transformation and mode."""
    random = np.random.default_rng(3)
    data = numbers(random, 1, 2, 4, 5)
    sizes = ([1, 2, 8, 10], [1, 2, 7, 4], [1, 2, 2, 1])
    empty = {"roi": np.zeros(0, np.float32), "scales": np.zeros(0, np.float32)}
    for index, (mode, size) in enumerate(itertools.product(RESIZE_MODES, sizes)):
        constants = {**empty, "sizes": np.array(size, np.int64)}
        for nearest in NEAREST_MODES:
            yield variant(
                f"nearest_{nearest}_{index}",
                "Resize",
                {"x": data},
                constants,
                coordinate_transformation_mode=mode,
                nearest_mode=nearest,
            )
        yield variant(
            f"linear_{index}",
            "Resize",
            {"x": data},
            constants,
            mode="linear",
            coordinate_transformation_mode=mode,
        )
        yield variant(
            f"cubic_{index}",
            "Resize",
            {"x": data},
            constants,
            mode="cubic",
            coordinate_transformation_mode=mode,
        )
    for index, scale in enumerate([[1, 1, 2, 2], [1, 1, 0.5, 0.6], [1, 1, 1.5, 2.3]]):
        scales = {"roi": np.zeros(0, np.float32), "scales": np.array(scale, np.float32)}
        for mode, transformation in itertools.product(("nearest", "linear", "cubic"), RESIZE_MODES[:2]):
            yield variant(
                f"scales_{mode}_{transformation}_{index}",
                "Resize",
                {"x": data},
                scales,
                mode=mode,
                coordinate_transformation_mode=transformation,
            )


def others() -> Iterator[Variant]:
    """Yield variants of other operators."""
    random = np.random.default_rng(4)
    data = numbers(random, 2, 3, 4)
    for axis, shape in itertools.product((-1, -2, 0), ([4], [1, 4], [3, 4])):
        if axis == -1 and shape[0] == 3:
            continue
        parameters = {"s": numbers(random, *shape), "b": numbers(random, *shape)}
        yield variant(
            f"layer_{axis}_{len(shape)}_{shape[0]}", "LayerNormalization", {"x": data}, parameters, axis=axis
        )
    outer = {"s": numbers(random, 3, 4), "b": numbers(random, 4)}
    yield variant("layer_outer", "LayerNormalization", {"x": data}, outer, axis=-1)
    for op, axis in itertools.product(("Gather", "GatherElements"), (0, 1, -1)):
        extent = data.shape[axis]
        indices = random.integers(-extent, extent, (2, 3, 4) if op == "GatherElements" else (2, 2))
        yield variant(f"{op}_{axis}", op, {"x": data}, {"i": indices}, axis=axis)
        yield variant(f"{op}_{axis}_run_time", op, {"x": data, "i": indices}, axis=axis)
    negative = np.array([[-1, -2], [0, 1]], np.int64)
    yield variant("GatherND", "GatherND", {"x": data}, {"i": negative})
    yield variant("GatherND_run_time", "GatherND", {"x": data, "i": negative})
    yield variant("ScatterND", "ScatterND", {"x": data}, {"i": negative, "u": numbers(random, 2, 4)})
    rows = np.array([[[-1, 0, -2, 1]]], np.int64)
    yield variant(
        "ScatterElements", "ScatterElements", {"x": data}, {"i": rows, "u": numbers(random, 1, 1, 4)}, axis=1
    )
    yield variant(
        "ScatterElements_run_time",
        "ScatterElements",
        {"x": data, "i": rows},
        {"u": numbers(random, 1, 1, 4)},
        axis=1,
    )
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for axis in (0, 1, 2, -1):
            yield variant(f"{op}_{axis}_11", op, {"x": data}, opset=11, axis=axis)
            yield variant(f"{op}_{axis}_13", op, {"x": data}, opset=13, axis=axis)
        yield variant(f"{op}_11", op, {"x": data}, opset=11)
    for size in (1, 3, 5):
        yield variant(f"LRN_{size}", "LRN", {"x": numbers(random, 1, 6, 3, 3)}, size=size, alpha=0.3)
    for pads in ([0, -1, 1, 0, 1, -2], [1, 0, 2, 0, 0, 1]):
        for mode in ("constant", "edge", "reflect"):
            fixed = {"p": np.array(pads, np.int64)}
            yield variant(f"Pad_{mode}_{pads[1]}", "Pad", {"x": data[:, :, :]}, fixed, mode=mode)
    pooled = numbers(random, 1, 2, 8, 8)
    rois = np.array([[1, 2, 12, 13], [0, 0, 9, 7]], np.float32)
    yield variant(
        "RoiAlign",
        "RoiAlign",
        {"x": pooled, "r": rois},
        {"b": np.zeros(2, np.int64)},
        output_height=3,
        output_width=2,
        sampling_ratio=2,
        spatial_scale=0.5,
    )
    integers = random.integers(-9, 9, (2, 3)).astype(np.int32)
    yield variant("Pow_int32", "Pow", {"x": integers}, {"e": np.array(3, np.int32)})
    yield variant("Pow_int32_float", "Pow", {"x": integers}, {"e": np.array(2.0, np.float32)})
    yield variant("Pow_run_time", "Pow", {"x": np.abs(data), "e": floats([0.5, 2, -1, 3])})
    yield variant("Mean", "Mean", {"a": data, "b": data[0], "c": data[:, :1]})
    yield variant("Max_nan", "Max", {"a": floats([1, np.nan, 3, 2]), "b": floats([2, 1, np.nan, 1])})
    yield variant("Min_nan", "Min", {"a": floats([1, np.nan, 3, 2]), "b": floats([2, 1, np.nan, 1])})
    for op, axes in itertools.product(
        ("ReduceSum", "ReduceMean", "ReduceL2", "ReduceMax"), ([0, 2], [-1], None)
    ):
        given = {} if axes is None else {"a": np.array(axes, np.int64)}
        yield variant(f"{op}_{axes}", op, {"x": data}, given, keepdims=0)
    for op in ("ReduceL1", "ReduceLogSumExp", "ReduceSumSquare"):
        yield variant(f"{op}_11", op, {"x": data}, opset=11, axes=[1, -1], keepdims=1)
    for select, op in itertools.product((0, 1), ("ArgMax", "ArgMin")):
        ties = random.integers(0, 3, (3, 5)).astype(np.float32)
        yield variant(f"{op}_{select}", op, {"x": ties}, axis=-1, select_last_index=select)
    yield variant("Split_uneven", "Split", {"x": data}, outputs=["y", "z"], axis=1, num_outputs=2, opset=18)
    yield variant("Split_11", "Split", {"x": data}, outputs=["y", "z"], axis=1, split=[2, 1], opset=11)


def older() -> Iterator[Variant]:
    """Yield operators in the forms of older opsets."""
    random = np.random.default_rng(5)
    data = numbers(random, 2, 3, 4)
    image = numbers(random, 1, 2, 3, 4)
    yield variant("Squeeze_11", "Squeeze", {"x": data[:, :1]}, opset=11, axes=[1])
    yield variant("Unsqueeze_11", "Unsqueeze", {"x": data}, opset=11, axes=[0, 3])
    yield variant("Clip_7", "Clip", {"x": data}, opset=7, min=-0.5, max=0.4)
    yield variant("Slice_9", "Slice", {"x": data}, opset=9, starts=[1, -2], ends=[3, 100], axes=[1, 2])
    yield variant("Pad_10", "Pad", {"x": data}, opset=10, pads=[0, 1, 0, 2, 0, 1], value=1.5)
    yield variant("Dropout_10", "Dropout", {"x": data}, opset=10, ratio=0.3)
    yield variant("Upsample_7", "Upsample", {"x": image}, opset=7, scales=[1.0, 1.0, 2.0, 3.0])
    for mode in ("nearest", "linear"):
        scales = {"s": floats([1, 1, 2, 3])}
        yield variant(f"Upsample_9_{mode}", "Upsample", {"x": image}, scales, opset=9, mode=mode)
        yield variant(f"Resize_10_{mode}", "Resize", {"x": image}, scales, opset=10, mode=mode)
    scale = {name: np.abs(numbers(random, 2)) for name in ("s", "b", "m", "v")}
    for opset in (7, 9, 14, 15):
        yield variant(f"BatchNormalization_{opset}", "BatchNormalization", {"x": image}, scale, opset=opset)
    yield variant("ReduceSum_11", "ReduceSum", {"x": data}, opset=11, axes=[-1], keepdims=0)
    yield variant(
        "Scatter_9", "Scatter", {"x": data}, {"i": longs([[[1, 0]]]), "u": floats([[[5, 6]]])}, opset=9
    )
    grid = np.clip(numbers(random, 1, 3, 3, 2), -1, 1)
    for mode in ("bilinear", "nearest", "bicubic"):
        yield variant(f"GridSample_16_{mode}", "GridSample", {"x": image, "g": grid}, opset=16, mode=mode)
    groups = {"s": floats([1, 2]), "b": floats([0.5, -1])}
    yield variant(
        "GroupNormalization_18",
        "GroupNormalization",
        {"x": numbers(random, 2, 4, 3)},
        groups,
        opset=18,
        num_groups=2,
    )
    yield variant("DFT_17", "DFT", {"x": numbers(random, 2, 3, 4, 1)}, opset=17)


def all_variants() -> List[Variant]:
    """Return all variants."""
    return [*pools(48), *convolutions(24), *resizes(), *others(), *older()]
