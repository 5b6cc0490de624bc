# SPDX-License-Identifier: Apache-2.0
"""Builtin operators of TensorFlow Lite: the conversion of each, its options, and quantized forms."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, NamedTuple, Tuple

from runtime.host.compile.onnx_rewrite.values import Value
from runtime.host.compile.tflite import (
    blocks,
    elementwise,
    movement,
    normalization,
    pools,
    products,
    rare,
    reductions,
    selection,
    windows,
)
from runtime.host.compile.tflite.call import Call

Convert = Callable[[Call], List[Value]]


class Entry(NamedTuple):
    """Treatment of an operator.

    Attributes:
        convert: Function that writes the ONNX operators and returns the outputs.
        quantized: The operator has a form for int8 or uint8 with scales.
    """

    convert: Convert
    quantized: bool


FLOAT: Final = False
QUANTIZED: Final = True

_ROWS: Final[Dict[str, Tuple[Any, str, bool]]] = {
    "CONV_2D": (windows.convolution, "Conv2DOptions", QUANTIZED),
    "DEPTHWISE_CONV_2D": (windows.depthwise, "DepthwiseConv2DOptions", QUANTIZED),
    "TRANSPOSE_CONV": (windows.transpose_convolution, "TransposeConvOptions", QUANTIZED),
    "CONV_3D": (windows.convolution_3d, "Conv3DOptions", FLOAT),
    "CONV_3D_TRANSPOSE": (windows.transpose_convolution_3d, "Conv3DOptions", FLOAT),
    "MAX_POOL_2D": (pools.max_pool, "Pool2DOptions", QUANTIZED),
    "AVERAGE_POOL_2D": (pools.average_pool, "Pool2DOptions", QUANTIZED),
    "L2_POOL_2D": (pools.l2_pool, "Pool2DOptions", FLOAT),
    "FULLY_CONNECTED": (products.fully_connected, "FullyConnectedOptions", QUANTIZED),
    "BATCH_MATMUL": (products.batch_matmul, "BatchMatMulOptions", QUANTIZED),
    "ADD": (elementwise.arithmetic("Add"), "AddOptions", QUANTIZED),
    "SUB": (elementwise.arithmetic("Sub"), "SubOptions", QUANTIZED),
    "MUL": (elementwise.arithmetic("Mul"), "MulOptions", QUANTIZED),
    "DIV": (elementwise.arithmetic("Div"), "DivOptions", FLOAT),
    "ADD_N": (elementwise.sum_of_all, "", FLOAT),
    "MAXIMUM": (elementwise.extreme("Max"), "", QUANTIZED),
    "MINIMUM": (elementwise.extreme("Min"), "", QUANTIZED),
    "POW": (elementwise.power, "", FLOAT),
    "SQUARED_DIFFERENCE": (elementwise.squared_difference, "", QUANTIZED),
    "FLOOR_DIV": (elementwise.floor_division, "", FLOAT),
    "FLOOR_MOD": (elementwise.floor_remainder, "", FLOAT),
    "ABS": (elementwise.unary("Abs"), "", QUANTIZED),
    "CEIL": (elementwise.unary("Ceil"), "", FLOAT),
    "COS": (elementwise.unary("Cos"), "", FLOAT),
    "ELU": (elementwise.unary("Elu"), "", QUANTIZED),
    "EXP": (elementwise.unary("Exp"), "", QUANTIZED),
    "FLOOR": (elementwise.unary("Floor"), "", FLOAT),
    "GELU": (elementwise.gelu, "GeluOptions", QUANTIZED),
    "HARD_SWISH": (elementwise.unary("HardSwish"), "", QUANTIZED),
    "LEAKY_RELU": (elementwise.leaky_relu, "LeakyReluOptions", QUANTIZED),
    "LOG": (elementwise.unary("Log"), "", FLOAT),
    "LOGICAL_NOT": (elementwise.unary("Not"), "", FLOAT),
    "LOGISTIC": (elementwise.bounded("Sigmoid", 1 / 256, -128), "", QUANTIZED),
    "NEG": (elementwise.unary("Neg"), "", FLOAT),
    "PRELU": (elementwise.prelu, "", QUANTIZED),
    **{name: (elementwise.clipping(*limits), "", QUANTIZED) for name, limits in elementwise.LIMITS.items()},
    "ROUND": (elementwise.unary("Round"), "", FLOAT),
    "RSQRT": (elementwise.reciprocal_root, "", FLOAT),
    "SIGN": (elementwise.unary("Sign"), "", FLOAT),
    "SIN": (elementwise.unary("Sin"), "", FLOAT),
    "SQRT": (elementwise.unary("Sqrt"), "", FLOAT),
    "SQUARE": (elementwise.square, "", FLOAT),
    "TANH": (elementwise.bounded("Tanh", 1 / 128, 0), "", QUANTIZED),
    "ZEROS_LIKE": (elementwise.zeros_like, "", FLOAT),
    "EQUAL": (elementwise.comparison("Equal"), "", QUANTIZED),
    "NOT_EQUAL": (elementwise.comparison("Equal", negated=True), "", QUANTIZED),
    "GREATER": (elementwise.comparison("Greater"), "", QUANTIZED),
    "GREATER_EQUAL": (elementwise.comparison("GreaterOrEqual"), "", QUANTIZED),
    "LESS": (elementwise.comparison("Less"), "", QUANTIZED),
    "LESS_EQUAL": (elementwise.comparison("LessOrEqual"), "", QUANTIZED),
    "LOGICAL_AND": (elementwise.binary("And"), "", FLOAT),
    "LOGICAL_OR": (elementwise.binary("Or"), "", FLOAT),
    "BITWISE_XOR": (elementwise.binary("BitwiseXor"), "", FLOAT),
    "SELECT": (elementwise.select, "", QUANTIZED),
    "SELECT_V2": (elementwise.select, "", QUANTIZED),
    "CAST": (elementwise.converted, "CastOptions", FLOAT),
    "QUANTIZE": (elementwise.quantized, "", QUANTIZED),
    "DEQUANTIZE": (elementwise.dequantized, "", QUANTIZED),
    "RESHAPE": (movement.reshape, "ReshapeOptions", QUANTIZED),
    "SQUEEZE": (movement.squeeze, "SqueezeOptions", QUANTIZED),
    "EXPAND_DIMS": (movement.expand_dims, "", QUANTIZED),
    "TRANSPOSE": (movement.transpose, "", QUANTIZED),
    "CONCATENATION": (movement.concatenation, "ConcatenationOptions", QUANTIZED),
    "PACK": (movement.pack, "PackOptions", QUANTIZED),
    "UNPACK": (movement.unpack, "UnpackOptions", QUANTIZED),
    "SPLIT": (movement.split, "SplitOptions", QUANTIZED),
    "SPLIT_V": (movement.split_sizes, "SplitVOptions", QUANTIZED),
    "PAD": (movement.pad, "", QUANTIZED),
    "PADV2": (movement.pad, "", QUANTIZED),
    "MIRROR_PAD": (movement.mirror_pad, "MirrorPadOptions", QUANTIZED),
    "TILE": (movement.tile, "", QUANTIZED),
    "BROADCAST_TO": (movement.broadcast_to, "", QUANTIZED),
    "REVERSE_V2": (movement.reverse, "", QUANTIZED),
    "REVERSE_SEQUENCE": (movement.reverse_sequence, "ReverseSequenceOptions", QUANTIZED),
    "SPACE_TO_DEPTH": (blocks.space_to_depth, "SpaceToDepthOptions", QUANTIZED),
    "DEPTH_TO_SPACE": (blocks.depth_to_space, "DepthToSpaceOptions", QUANTIZED),
    "SPACE_TO_BATCH_ND": (blocks.space_to_batch, "", QUANTIZED),
    "BATCH_TO_SPACE_ND": (blocks.batch_to_space, "", QUANTIZED),
    "SLICE": (selection.plain_slice, "", QUANTIZED),
    "STRIDED_SLICE": (selection.strided_slice, "StridedSliceOptions", QUANTIZED),
    "GATHER": (selection.gather, "GatherOptions", QUANTIZED),
    "GATHER_ND": (selection.gather_nd, "", QUANTIZED),
    "EMBEDDING_LOOKUP": (selection.embedding_lookup, "", FLOAT),
    "ONE_HOT": (selection.one_hot, "OneHotOptions", FLOAT),
    "TOPK_V2": (selection.largest, "", QUANTIZED),
    "SCATTER_ND": (selection.scatter_nd, "", FLOAT),
    "FILL": (selection.filled, "", QUANTIZED),
    "SHAPE": (selection.shape_of, "", QUANTIZED),
    "RANK": (selection.rank_of, "", QUANTIZED),
    "RANGE": (selection.counted, "", FLOAT),
    "MEAN": (reductions.reduction("ReduceMean"), "ReducerOptions", QUANTIZED),
    "SUM": (reductions.reduction("ReduceSum"), "ReducerOptions", QUANTIZED),
    "REDUCE_PROD": (reductions.reduction("ReduceProd"), "ReducerOptions", FLOAT),
    "REDUCE_MAX": (reductions.extreme("ReduceMax"), "ReducerOptions", QUANTIZED),
    "REDUCE_MIN": (reductions.extreme("ReduceMin"), "ReducerOptions", QUANTIZED),
    "REDUCE_ANY": (reductions.logical("ReduceMax"), "ReducerOptions", FLOAT),
    "REDUCE_ALL": (reductions.logical("ReduceMin"), "ReducerOptions", FLOAT),
    "ARG_MAX": (reductions.position("ArgMax"), "ArgMaxOptions", QUANTIZED),
    "ARG_MIN": (reductions.position("ArgMin"), "ArgMinOptions", QUANTIZED),
    "CUMSUM": (reductions.running_sum, "CumsumOptions", FLOAT),
    "ATAN2": (rare.angle, "", FLOAT),
    "BROADCAST_ARGS": (rare.broadcast_shapes, "", FLOAT),
    "DYNAMIC_UPDATE_SLICE": (rare.updated, "", QUANTIZED),
    "MATRIX_DIAG": (rare.matrix_diagonal, "", FLOAT),
    "MATRIX_SET_DIAG": (rare.matrix_set_diagonal, "", FLOAT),
    "SEGMENT_SUM": (rare.segment_sum, "", FLOAT),
    "UNSORTED_SEGMENT_SUM": (rare.segment_sum, "", FLOAT),
    "SPARSE_TO_DENSE": (rare.dense_from_sparse, "", FLOAT),
    "SOFTMAX": (normalization.softmax, "SoftmaxOptions", QUANTIZED),
    "LOG_SOFTMAX": (normalization.log_softmax, "", QUANTIZED),
    "L2_NORMALIZATION": (normalization.l2_normalization, "L2NormOptions", QUANTIZED),
    "LOCAL_RESPONSE_NORMALIZATION": (
        normalization.local_response,
        "LocalResponseNormalizationOptions",
        FLOAT,
    ),
    "RESIZE_BILINEAR": (normalization.resize_bilinear, "ResizeBilinearOptions", QUANTIZED),
    "RESIZE_NEAREST_NEIGHBOR": (normalization.resize_nearest, "ResizeNearestNeighborOptions", QUANTIZED),
}

OPERATORS: Final[Dict[str, Entry]] = {name: Entry(row[0], row[2]) for name, row in _ROWS.items()}
"""Builtin operator -> treatment."""

OPTIONS: Final[Dict[str, str]] = {name: row[1] for name, row in _ROWS.items()}
"""Builtin operator -> type of its options in the schema; empty for an operator whose options are not read."""

REFUSALS: Final[Dict[str, str]] = {
    "IF": "it chooses between graphs at run time",
    "WHILE": "it repeats a graph at run time",
    "CALL": "it calls another graph",
    "CALL_ONCE": "it calls another graph",
    "VAR_HANDLE": "it keeps a state between runs",
    "READ_VARIABLE": "it keeps a state between runs",
    "ASSIGN_VARIABLE": "it keeps a state between runs",
    "SVDF": "it keeps a state between runs",
    "RNN": "it keeps a state between runs",
    "LSTM": "it keeps a state between runs",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "it keeps a state between runs",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "it keeps a state between runs",
    "BIDIRECTIONAL_SEQUENCE_RNN": "it keeps a state between runs",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "it keeps a state between runs",
    "WHERE": "the shape of its output depends on its data",
    "UNIQUE": "the shape of its output depends on its data",
    "RANDOM_STANDARD_NORMAL": "its output is random",
    "RANDOM_UNIFORM": "its output is random",
    "MULTINOMIAL": "its output is random",
    "DENSIFY": "its input is sparse",
}
"""Builtin operator -> reason of its refusal. Others have no conversion."""
