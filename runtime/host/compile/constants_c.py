# SPDX-License-Identifier: Apache-2.0
"""Values of constants in C, exact to the last bit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, List

from runtime.host.compile.errors import ModelError

if TYPE_CHECKING:
    import numpy as np


def c_values(array: np.ndarray) -> List[str]:
    """Return the elements of an array as C constants.

    Nine significant digits determine a float32 (IEEE 754-2019, 5.12.2).

    Raises:
        ModelError: The data type does not exist on devices.
    """
    flat = array.reshape(-1)
    if str(array.dtype) == "bool":
        return ["1" if value else "0" for value in flat.tolist()]
    if str(array.dtype) == "float32":
        return [_float(value) for value in flat.tolist()]
    if array.dtype.kind in "iu":
        return [_integer(value, array.dtype) for value in flat.tolist()]
    raise ModelError(
        f"The model has a constant of type {array.dtype}, which devices do not support.",
        "Convert the model to float32.",
    )


def _float(value: float) -> str:
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.f"


def _integer(value: int, dtype: np.dtype) -> str:
    if dtype.itemsize == 8:
        if value == -(1 << 63):
            return "INT64_MIN"
        return f"UINT64_C({value})" if dtype.kind == "u" else f"INT64_C({value})"
    if value == -(1 << 31):
        return "INT32_MIN"
    return f"{value}u" if dtype.kind == "u" and value > 0x7FFFFFFF else str(value)
