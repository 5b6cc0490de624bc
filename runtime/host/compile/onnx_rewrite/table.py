# SPDX-License-Identifier: Apache-2.0
"""Treatment of each operator of ONNX's default domain."""

from __future__ import annotations

from typing import Dict, Final

from runtime.host.compile.onnx_rewrite import (
    control,
    elementwise,
    functions,
    normalization,
    quantized,
    recurrent,
    resize,
    simple,
    spectral,
    windows,
)
from runtime.host.compile.onnx_rewrite.emitter import Rule
from runtime.host.compile.onnx_rewrite.upgrade import DEPRECATED

RULES: Final[Dict[str, Rule]] = {
    **simple.RULES,
    **control.RULES,
    **functions.RULES,
    **recurrent.RULES,
    **elementwise.RULES,
    **normalization.RULES,
    **quantized.RULES,
    **resize.RULES,
    **spectral.RULES,
    **windows.RULES,
}
"""Operator -> function that emits its replacement."""

_DYNAMIC: Final = "the shape of its result depends on the values of its input"
_COMPUTED: Final = "its inputs must be constant"
_RANDOM: Final = "its result is random, so that no reference can verify it"
_LACKS: Final = "TVM has no such operator, and no rule replaces it"
_STRINGS: Final = "microcontrollers have no strings of ONNX"

REFUSALS: Final[Dict[str, str]] = {
    "Bernoulli": _RANDOM,
    "BitCast": _LACKS,
    "Col2Im": _LACKS,
    "DeformConv": _LACKS,
    "Det": _LACKS,
    "ImageDecoder": "it reads compressed images",
    "MelWeightMatrix": _COMPUTED,
    "Multinomial": _RANDOM,
    "NonMaxSuppression": _DYNAMIC,
    "NonZero": _DYNAMIC,
    "RandomNormal": _RANDOM,
    "RandomNormalLike": _RANDOM,
    "RandomUniform": _RANDOM,
    "RandomUniformLike": _RANDOM,
    "Range": _COMPUTED,
    "RegexFullMatch": _STRINGS,
    "StringConcat": _STRINGS,
    "StringNormalizer": _STRINGS,
    "StringSplit": _STRINGS,
    "TensorScatter": _LACKS,
    "TfIdfVectorizer": _STRINGS,
    "TopK": "the code generator has no sort",
    "Unique": _DYNAMIC,
}
"""Operator -> why it is refused unless its inputs are constant."""

TAKEN: Final = frozenset(
    """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr
    BitwiseXor Ceil Clip Cos Cosh DepthToSpace Div DynamicQuantizeLinear Einsum Elu Erf Exp Flatten
    Floor Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Hardmax
    InstanceNormalization IsNaN LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger MaxRoiPool
    MaxUnpool Mish Mul Neg Not Or Reciprocal Relu Reshape Round Selu Shrink Sigmoid Sign Sin Sinh Slice
    Softmax Softplus Softsign Sqrt Squeeze Sub Tan Tanh ThresholdedRelu Tile Transpose Unsqueeze Where Xor
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
"""Operators that TVM 0.27 imports correctly in all forms of opset 21."""

AS_IS: Final = "taken"
REWRITTEN: Final = "rewritten"


def supported_operators() -> Dict[str, str]:
    """Return the treatment of each operator of ONNX's default domain. Other operators are refused.

    Returns:
        Operator -> "taken", "rewritten", or the reason of its refusal.
    """
    treatments = {
        **dict.fromkeys(TAKEN, AS_IS),
        **dict.fromkeys(RULES, REWRITTEN),
        **dict.fromkeys(DEPRECATED, REWRITTEN),
        **REFUSALS,
    }
    return dict(sorted(treatments.items()))
