# SPDX-License-Identifier: Apache-2.0
"""Forms of TensorFlow Lite's operators that are compared with LiteRT."""

from __future__ import annotations

from typing import Any, Dict, Final, Iterator, List, Tuple

import numpy as np

from tests.compile.tflite.cases import Bias, Case, Fixed, Weights

F: Final[Tuple[str, ...]] = ("float32",)
Q: Final[Tuple[str, ...]] = ("float32", "int8", "uint8")
I8: Final[Tuple[str, ...]] = ("float32", "int8")
SAME, VALID = 0, 1
IMAGE: Final = (1, 7, 6, 4)


def _windows() -> Iterator[Case]:
    for label, padding, stride, dilation, fused, out in (
        ("same", SAME, 1, 1, 0, (1, 7, 6, 8)),
        ("valid-relu", VALID, 1, 1, 1, (1, 5, 4, 8)),
        ("stride-relu6", SAME, 2, 1, 3, (1, 4, 3, 8)),
        ("dilated", SAME, 1, 2, 0, (1, 7, 6, 8)),
        ("valid-stride-n1", VALID, 2, 1, 2, (1, 3, 2, 8)),
    ):
        options = {"padding": padding, "strideW": stride, "strideH": stride, "fusedActivationFunction": fused}
        options |= {"dilationWFactor": dilation, "dilationHFactor": dilation}
        yield Case(
            "CONV_2D",
            [IMAGE, Weights((8, 3, 3, 4)), Bias((8,))],
            [out],
            options,
            "Conv2DOptions",
            Q,
            label=label,
        )
        deep = {**options, "depthMultiplier": 2}
        yield Case(
            "DEPTHWISE_CONV_2D",
            [IMAGE, Weights((1, 3, 3, 8)), Bias((8,))],
            [out],
            deep,
            "DepthwiseConv2DOptions",
            Q,
            label=label,
        )
    plain = {"padding": SAME, "strideW": 1, "strideH": 1}
    yield Case(
        "CONV_2D",
        [IMAGE, Weights((8, 1, 1, 4), 0), Bias((8,))],
        [(1, 7, 6, 8)],
        plain,
        "Conv2DOptions",
        I8,
        label="channels",
    )
    yield Case(
        "CONV_2D",
        [IMAGE, Weights((6, 3, 3, 2), 0), Bias((6,))],
        [(1, 7, 6, 6)],
        plain,
        "Conv2DOptions",
        I8,
        label="groups",
    )
    yield Case(
        "DEPTHWISE_CONV_2D",
        [(2, 5, 5, 3), Weights((1, 3, 3, 3), 3), Bias((3,))],
        [(2, 5, 5, 3)],
        {**plain, "depthMultiplier": 1},
        "DepthwiseConv2DOptions",
        I8,
        label="channels",
    )
    for label, padding, stride, out in (
        ("same", SAME, 2, (1, 14, 12, 5)),
        ("same-odd", SAME, 2, (1, 13, 11, 5)),
        ("valid", VALID, 2, (1, 15, 13, 5)),
        ("valid-long", VALID, 2, (1, 16, 14, 5)),
        ("valid-gap", VALID, 4, (1, 27, 23, 5)),
    ):
        options = {"padding": padding, "strideW": stride, "strideH": stride}
        yield Case(
            "TRANSPOSE_CONV",
            [list(out), Weights((5, 3, 3, 4), 0), IMAGE],
            [out],
            options,
            "TransposeConvOptions",
            I8,
            label=label,
        )
    yield Case(
        "TRANSPOSE_CONV",
        [[1, 14, 12, 5], Weights((5, 3, 3, 4), 0), IMAGE, Bias((5,))],
        [(1, 14, 12, 5)],
        {"padding": SAME, "strideW": 2, "strideH": 2},
        "TransposeConvOptions",
        F,
        label="bias",
    )
    cube = {"padding": SAME, "strideW": 1, "strideH": 2, "strideD": 1}
    yield Case(
        "CONV_3D",
        [(1, 4, 6, 5, 2), Weights((2, 3, 3, 2, 4)), Bias((4,))],
        [(1, 4, 3, 5, 4)],
        cube,
        "Conv3DOptions",
    )
    yield Case(
        "CONV_3D_TRANSPOSE",
        [[1, 4, 12, 5, 3], Weights((2, 3, 3, 3, 2)), (1, 4, 6, 5, 2)],
        [(1, 4, 12, 5, 3)],
        cube,
        "Conv3DOptions",
    )
    for op, types in (("MAX_POOL_2D", Q), ("AVERAGE_POOL_2D", Q), ("L2_POOL_2D", F)):
        for label, padding, stride, fused, out in (
            ("same", SAME, 2, 0, (1, 4, 3, 4)),
            ("valid", VALID, 1, 0, (1, 5, 5, 4)),
            ("relu6", SAME, 1, 3, (1, 7, 6, 4)),
        ):
            options = {"padding": padding, "strideW": stride, "strideH": stride, "filterHeight": 3}
            options |= {"filterWidth": 2, "fusedActivationFunction": fused}
            yield Case(op, [IMAGE], [out], options, "Pool2DOptions", types, same=True, label=label)


def _products() -> Iterator[Case]:
    kind = "FullyConnectedOptions"
    dense = [(3, 10), Weights((6, 10)), Bias((6,))]
    yield Case("FULLY_CONNECTED", dense, [(3, 6)], {}, kind, Q)
    yield Case("FULLY_CONNECTED", dense, [(3, 6)], {"fusedActivationFunction": 1}, kind, Q, label="relu")
    yield Case(
        "FULLY_CONNECTED",
        [(3, 10), Weights((6, 10), 0), Bias((6,))],
        [(3, 6)],
        {},
        kind,
        I8,
        label="channels",
    )
    yield Case("FULLY_CONNECTED", [(3, 10), Weights((6, 10))], [(3, 6)], {}, kind, Q, label="no-bias")
    yield Case(
        "FULLY_CONNECTED", [(3, 10), Weights((6, 10)), None], [(3, 6)], {}, kind, F, label="empty-bias"
    )
    yield Case(
        "FULLY_CONNECTED", [(1, 2, 5, 3), Weights((4, 30)), Bias((4,))], [(1, 4)], {}, kind, Q, label="flat"
    )
    yield Case(
        "FULLY_CONNECTED",
        [(2, 3, 10), Weights((4, 10)), Bias((4,))],
        [(2, 3, 4)],
        {"keepNumDims": True},
        kind,
        Q,
        label="keep",
    )
    yield Case("FULLY_CONNECTED", [(2, 10), (4, 10)], [(2, 4)], {}, kind, F, label="computed")
    for label, x, y, one, other in (
        ("plain", (2, 3, 4), (2, 4, 5), False, False),
        ("adjoint", (2, 4, 3), (2, 5, 4), True, True),
        ("broadcast", (2, 3, 4), (1, 4, 5), False, False),
    ):
        types = I8 if label != "broadcast" else F
        options = {"adjX": one, "adjY": other}
        yield Case("BATCH_MATMUL", [x, y], [(2, 3, 5)], options, "BatchMatMulOptions", types, label=label)


def _elementwise() -> Iterator[Case]:
    shape = (1, 5, 4, 3)
    for op, kind, types in (
        ("ADD", "AddOptions", Q),
        ("SUB", "SubOptions", Q),
        ("MUL", "MulOptions", Q),
        ("DIV", "DivOptions", F),
    ):
        low = 0.5 if op == "DIV" else -2
        yield Case(op, [shape, shape], [shape], {}, kind, types, low=low)
        options = {"fusedActivationFunction": 1}
        yield Case(op, [shape, (3,)], [shape], options, kind, types, low=low, label="relu")
        yield Case(op, [(5, 1, 3), (1, 4, 1)], [(5, 4, 3)], {}, kind, types, low=low, label="broadcast")
        yield Case(op, [shape, Weights((1, 1, 1, 3))], [shape], {}, kind, types, low=low, label="constant")
    for op in ("MAXIMUM", "MINIMUM"):
        yield Case(op, [shape, (3,)], [shape], types=(*Q, "int32"), same=True)
    yield Case("ADD_N", [shape, shape, shape], [shape])
    yield Case("POW", [shape, shape], [shape], low=0.2)
    yield Case("SQUARED_DIFFERENCE", [shape, shape], [shape], types=I8)
    yield Case("ADD", [shape, shape], [shape], {}, "AddOptions", ("int32",), label="plain")
    yield Case("MUL", [shape, shape], [shape], {}, "MulOptions", ("int32",), label="plain")
    yield Case("SUB", [shape, shape], [shape], {}, "SubOptions", ("int32",), label="plain")
    for op in ("FLOOR_DIV", "FLOOR_MOD"):
        yield Case(op, [shape, shape], [shape], low=-7.5, high=7.4)
        divisor = Fixed("int32", (3,), [-3, 4, 2])
        yield Case(op, [shape, divisor], [shape], types=("int32",), low=-20, high=20, label="integers")
    ones = (
        ("ABS", I8),
        ("CEIL", F),
        ("COS", F),
        ("ELU", I8),
        ("EXP", I8),
        ("FLOOR", F),
        ("GELU", Q),
    )
    more = (("HARD_SWISH", Q), ("NEG", F), ("RELU", Q), ("RELU6", Q), ("RELU_N1_TO_1", Q), ("RELU_0_TO_1", Q))
    rest = (("ROUND", F), ("SIGN", F), ("SIN", F), ("SQUARE", F))
    for op, types in (*ones, *more, *rest):
        yield Case(
            op, [shape], [shape], types=types, low=-5, high=5, kind="GeluOptions" if op == "GELU" else ""
        )
    yield Case("GELU", [shape], [shape], {"approximate": True}, "GeluOptions", Q, label="approximate")
    yield Case("LEAKY_RELU", [shape], [shape], {"alpha": 0.2}, "LeakyReluOptions", Q)
    for op in ("LOG", "RSQRT", "SQRT"):
        yield Case(op, [shape], [shape], low=0.1, high=5)
    yield Case("LOGISTIC", [shape], [shape], types=Q, output=(1 / 256, -128), low=-6, high=6)
    yield Case("TANH", [shape], [shape], types=Q, output=(1 / 128, 0), low=-4, high=4)
    yield Case("PRELU", [shape, Weights((1, 1, 3))], [shape], types=Q)
    yield Case("LOGICAL_NOT", [shape], [shape], types=("bool",))
    for op in ("LOGICAL_AND", "LOGICAL_OR"):
        yield Case(op, [shape, shape], [shape], types=("bool",))
    yield Case("BITWISE_XOR", [shape, shape], [shape], types=("int32",), low=-99, high=99)
    for op in ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"):
        yield Case(op, [shape, (3,)], [shape], types=(*Q, "int32"), returns="bool")
    for op in ("SELECT", "SELECT_V2"):
        condition = Fixed("bool", shape)
        yield Case(op, [condition, shape, shape], [shape], types=(*I8, "int32"), same=True)
    yield Case("SELECT", [Fixed("bool", (4,)), (4, 3), (4, 3)], [(4, 3)], label="rows")
    yield Case("SELECT_V2", [Fixed("bool", (4, 1)), (4, 3), (1, 3)], [(4, 3)], label="broadcast")
    yield Case("ZEROS_LIKE", [shape], [shape], types=("float32", "int32"))
    for source, target in (
        ("float32", "int32"),
        ("int32", "float32"),
        ("bool", "float32"),
        ("int32", "bool"),
    ):
        yield Case("CAST", [shape], [shape], {}, "CastOptions", (source,), returns=target, label=target)
    yield Case("CAST", [shape], [shape], {}, "CastOptions", ("float32",), returns="bool", label="truth")
    for source, target in (("float32", "int8"), ("float32", "uint8"), ("int8", "uint8"), ("uint8", "int8")):
        yield Case("QUANTIZE", [shape], [shape], types=(source,), returns=target, label=target)
    yield Case("QUANTIZE", [shape], [shape], types=("int8",), label="again")
    yield Case("DEQUANTIZE", [shape], [shape], types=("int8", "uint8"), returns="float32")


def _movement() -> Iterator[Case]:
    shape = (2, 4, 6, 4)
    move: Dict[str, Any] = {"types": (*Q, "int32"), "same": True}
    yield Case("RESHAPE", [shape, [2, -1, 3]], [(2, 32, 3)], {}, "ReshapeOptions", **move)
    options: Dict[str, Any] = {"newShape": np.array([8, 24], np.int32)}
    yield Case("RESHAPE", [shape], [(8, 24)], options, "ReshapeOptions", **move, label="attribute")
    yield Case("SQUEEZE", [(1, 4, 1, 3)], [(4, 3)], {}, "SqueezeOptions", **move)
    yield Case("EXPAND_DIMS", [(4, 3), [1]], [(4, 1, 3)], **move)
    yield Case("TRANSPOSE", [(2, 3, 4), [2, 0, 1]], [(4, 2, 3)], **move)
    yield Case("CONCATENATION", [(2, 3), (2, 5)], [(2, 8)], {"axis": 1}, "ConcatenationOptions", **move)
    yield Case(
        "CONCATENATION",
        [(2, 3), (2, 5)],
        [(2, 8)],
        {"axis": -1},
        "ConcatenationOptions",
        ("uint8",),
        label="scales",
    )
    yield Case("PACK", [(2, 3), (2, 3)], [(2, 2, 3)], {"axis": 1, "valuesCount": 2}, "PackOptions", **move)
    yield Case("UNPACK", [(2, 3, 4)], [(2, 4)] * 3, {"axis": 1, "num": 3}, "UnpackOptions", **move)
    yield Case("SPLIT", [[2], shape], [(2, 4, 2, 4)] * 3, {"numSplits": 3}, "SplitOptions", **move)
    yield Case(
        "SPLIT_V",
        [shape, [1, 3, 2], [-2]],
        [(2, 4, 1, 4), (2, 4, 3, 4), (2, 4, 2, 4)],
        {"numSplits": 3},
        "SplitVOptions",
        **move,
    )
    pads = [[0, 0], [1, 2], [0, 1], [0, 0]]
    yield Case("PAD", [shape, pads], [(2, 7, 7, 4)], {}, "PadOptions", **move)
    yield Case(
        "PADV2", [(2, 3), [[0, 1], [2, 0]], (1,)], [(3, 5)], {}, "PadV2Options", I8, True, label="computed"
    )
    yield Case("PADV2", [(2, 3), [[0, 1], [2, 0]], Fixed("float32", (), 1.5)], [(3, 5)], {}, "PadV2Options")
    for mode, label in ((0, "reflect"), (1, "symmetric")):
        yield Case(
            "MIRROR_PAD",
            [shape, pads],
            [(2, 7, 7, 4)],
            {"mode": mode},
            "MirrorPadOptions",
            I8,
            same=True,
            label=label,
        )
    yield Case("TILE", [(2, 3), [2, 3]], [(4, 9)], types=(*I8, "int32"), same=True)
    yield Case("BROADCAST_TO", [(1, 3), [2, 4, 3]], [(2, 4, 3)], **move)
    yield Case("REVERSE_V2", [(2, 3, 4), [1]], [(2, 3, 4)], **move)
    options = {"seqDim": 1, "batchDim": 0}
    yield Case(
        "REVERSE_SEQUENCE",
        [(3, 5, 2), [1, 5, 3]],
        [(3, 5, 2)],
        options,
        "ReverseSequenceOptions",
        ("float32", "uint8"),
        True,
    )
    options = {"seqDim": 0, "batchDim": 1}
    yield Case(
        "REVERSE_SEQUENCE",
        [(5, 3, 2), [1, 5, 3]],
        [(5, 3, 2)],
        options,
        "ReverseSequenceOptions",
        label="first",
    )
    yield Case("SPACE_TO_DEPTH", [shape], [(2, 2, 3, 16)], {"blockSize": 2}, "SpaceToDepthOptions", **move)
    yield Case("DEPTH_TO_SPACE", [shape], [(2, 8, 12, 1)], {"blockSize": 2}, "DepthToSpaceOptions", **move)
    yield Case("SPACE_TO_BATCH_ND", [shape, [3, 2], [[1, 1], [0, 0]]], [(12, 2, 3, 4)], types=I8, same=True)
    yield Case(
        "BATCH_TO_SPACE_ND", [(6, 2, 3, 4), [3, 2], [[1, 0], [0, 2]]], [(1, 5, 4, 4)], types=I8, same=True
    )
    yield Case("SHAPE", [shape], [(4,)], {"outType": 2}, "ShapeOptions", Q, returns="int32")
    yield Case("RANK", [shape], [()], types=Q, returns="int32")


def _selection() -> Iterator[Case]:
    shape = (2, 5, 6)
    move: Dict[str, Any] = {"types": (*Q, "int32"), "same": True}
    yield Case("SLICE", [shape, [0, 1, 2], [-1, 3, 2]], [(2, 3, 2)], **move)
    for label, begin, end, step, masks, out in (
        ("plain", [0, 1, 0], [2, 4, 6], [1, 2, 1], {}, (2, 2, 6)),
        ("negative", [1, -1, 5], [2, -6, 0], [1, -2, -1], {}, (1, 3, 5)),
        ("masks", [9, 1, 0], [0, 9, 3], [1, 1, 2], {"beginMask": 1, "endMask": 3}, (2, 4, 2)),
        ("shrink", [1, 1], [2, 4], [1, 1], {"shrinkAxisMask": 1}, (3, 6)),
        (
            "shrink-last",
            [0, 0, -1],
            [0, 0, 0],
            [1, 1, 1],
            {"shrinkAxisMask": 4, "beginMask": 3, "endMask": 3},
            (2, 5),
        ),
        ("ellipsis", [0, 1], [0, 3], [1, 1], {"ellipsisMask": 1}, (2, 5, 2)),
        ("new-axis", [0, 0, 1], [2, 0, 3], [1, 1, 1], {"newAxisMask": 2}, (2, 1, 2, 6)),
        ("reverse", [0, 0, 0], [2, 0, 6], [1, -1, 1], {"beginMask": 2, "endMask": 2}, (2, 5, 6)),
    ):
        yield Case(
            "STRIDED_SLICE",
            [shape, begin, end, step],
            [out],
            masks,
            "StridedSliceOptions",
            **move,
            label=label,
        )
    kind = "GatherOptions"
    yield Case("GATHER", [shape, [[0, 2], [4, 1]]], [(2, 2, 2, 6)], {"axis": 1}, kind, **move)
    yield Case("GATHER", [shape, Fixed("int32", (), 1)], [(2, 6)], {"axis": 1}, kind, **move, label="scalar")
    yield Case(
        "GATHER",
        [shape, [[0, 2, 1], [4, 1, 0]]],
        [(2, 3, 6)],
        {"axis": 1, "batchDims": 1},
        kind,
        F,
        label="batch",
    )
    yield Case(
        "GATHER",
        [shape, [[0, 2, 1], [4, 1, 0]]],
        [(2, 5, 3)],
        {"axis": 2, "batchDims": 1},
        kind,
        F,
        label="batch-last",
    )
    indices = Fixed("int32", (2, 3))
    yield Case(
        "GATHER", [(5, 4), indices], [(2, 3, 4)], {"axis": 0}, kind, F, low=0, high=4, label="computed"
    )
    yield Case("GATHER_ND", [shape, [[0, 2], [1, 4]]], [(2, 6)], **{**move, "types": (*I8, "int32")})
    yield Case("EMBEDDING_LOOKUP", [Fixed("int32", (3,)), Weights((6, 4))], [(3, 4)], low=0, high=5)
    for axis, out in ((-1, (2, 3, 5)), (1, (2, 5, 3))):
        yield Case(
            "ONE_HOT",
            [
                Fixed("int32", (2, 3)),
                Fixed("int32", (), 5),
                Fixed("float32", (), 2.0),
                Fixed("float32", (), -1.0),
            ],
            [out],
            {"axis": axis},
            "OneHotOptions",
            low=-1,
            high=6,
            label=str(axis),
        )
    yield Case(
        "TOPK_V2",
        [(3, 8), Fixed("int32", (), 3)],
        [(3, 3), Fixed("int32", (3, 3))],
        {},
        "TopKV2Options",
        Q,
        True,
    )
    yield Case("FILL", [[2, 3], ()], [(2, 3)], {}, "FillOptions", I8, True, label="computed")
    yield Case("FILL", [[2, 3], Fixed("float32", (), 1.5)], [(2, 3)], {}, "FillOptions")
    yield Case(
        "RANGE",
        [Fixed("int32", (), 9), Fixed("int32", (), 1), Fixed("int32", (), -3)],
        [(3,)],
        returns="int32",
    )
    yield Case("SCATTER_ND", [[[1], [3]], (2, 4), [5, 4]], [(5, 4)])
    yield Case("SCATTER_ND", [[[1], [1]], (2, 4), [5, 4]], [(5, 4)], label="twice")


def _reductions() -> Iterator[Case]:
    shape = (2, 5, 4, 3)
    for op, types, same in (
        ("MEAN", Q, False),
        ("SUM", I8, False),
        ("REDUCE_MAX", Q, True),
        ("REDUCE_MIN", Q, True),
        ("REDUCE_PROD", F, False),
        ("REDUCE_ANY", ("bool",), False),
        ("REDUCE_ALL", ("bool",), False),
    ):
        kind = "ReducerOptions"
        yield Case(op, [shape, [1, 2]], [(2, 3)], {}, kind, types, same=same)
        keep = {"keepDims": True}
        yield Case(op, [shape, [-1]], [(2, 5, 4, 1)], keep, kind, types, same=same, label="keep")
    for op in ("ARG_MAX", "ARG_MIN"):
        options = {"outputType": 2}
        yield Case(op, [shape, [2]], [(2, 5, 3)], options, f"Arg{op[4:].title()}Options", Q, returns="int32")
    yield Case("CUMSUM", [(3, 4), Fixed("int32", (), 1)], [(3, 4)], {}, "CumsumOptions")
    options = {"exclusive": True, "reverse": True}
    yield Case("CUMSUM", [(3, 4), Fixed("int32", (), 0)], [(3, 4)], options, "CumsumOptions", label="flags")


def _normalization() -> Iterator[Case]:
    shape = (2, 10)
    yield Case("SOFTMAX", [shape], [shape], {"beta": 1.0}, "SoftmaxOptions", Q, output=(1 / 256, -128))
    yield Case(
        "SOFTMAX", [shape], [shape], {"beta": 0.3}, "SoftmaxOptions", Q, output=(1 / 256, -128), label="beta"
    )
    yield Case("LOG_SOFTMAX", [shape], [shape], types=Q, output=(16 / 256, 127))
    image = (1, 4, 5, 6)
    yield Case("L2_NORMALIZATION", [image], [image], {}, "L2NormOptions", Q, output=(1 / 128, 0))
    options = {"radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.6}
    yield Case("LOCAL_RESPONSE_NORMALIZATION", [image], [image], options, "LocalResponseNormalizationOptions")
    for size in ([8, 10], [7, 3]):
        for label, align, half in (("plain", False, False), ("align", True, False), ("half", False, True)):
            out = (1, *size, 6)
            options = {"alignCorners": align, "halfPixelCenters": half}
            for op, kind in (
                ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
                ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
            ):
                yield Case(op, [image, size], [out], options, kind, I8, same=True, label=f"{label}-{size[0]}")


def _rare() -> Iterator[Case]:
    yield Case("ATAN2", [(3, 40), (3, 40)], [(3, 40)])
    yield Case("BROADCAST_ARGS", [[2, 1, 3], [4, 1]], [(3,)], returns="int32")
    update = [(4, 5), (2, 3), [1, 9]]
    yield Case("DYNAMIC_UPDATE_SLICE", update, [(4, 5)], types=I8, same=True)
    yield Case("MATRIX_DIAG", [(2, 3)], [(2, 3, 3)])
    yield Case("MATRIX_SET_DIAG", [(2, 3, 3), (2, 3)], [(2, 3, 3)])
    yield Case("SEGMENT_SUM", [(4, 3), [0, 0, 1, 2]], [(3, 3)])
    yield Case("UNSORTED_SEGMENT_SUM", [(4, 3), [2, 0, 2, 1], Fixed("int32", (), 5)], [(5, 3)])
    for label, indices, shape in (("vector", [1, 3], (5,)), ("matrix", [[0, 1], [2, 0]], (3, 2))):
        values = [(2,), Fixed("float32", (), -1.0)]
        yield Case("SPARSE_TO_DENSE", [indices, list(shape), *values], [shape], label=label)


CASES: Final[List[Case]] = [
    *_windows(),
    *_products(),
    *_elementwise(),
    *_movement(),
    *_selection(),
    *_reductions(),
    *_normalization(),
    *_rare(),
]
