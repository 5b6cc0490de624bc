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
    "Multinomial": _RANDOM,
    "NonMaxSuppression": _DYNAMIC,
    "NonZero": _DYNAMIC,
    "RandomNormal": _RANDOM,
    "RandomNormalLike": _RANDOM,
    "RandomUniform": _RANDOM,
    "RandomUniformLike": _RANDOM,
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

AS_IS: Final = "taken"
REWRITTEN: Final = "rewritten"


def supported_operators() -> Dict[str, str]:
    """Return the treatment of each operator of ONNX's default domain.

    Returns:
        Operator -> "taken", "rewritten", or the reason of its refusal.
    """
    from onnx import defs

    names = {schema.name for schema in defs.get_all_schemas() if schema.domain == ""}
    return {
        name: REFUSALS.get(name, REWRITTEN if name in RULES else AS_IS) for name in sorted({*names, *RULES})
    }
