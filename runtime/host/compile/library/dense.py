# SPDX-License-Identifier: Apache-2.0
"""Products of a matrix and a vector: runtime/kernels/dense.h."""

from __future__ import annotations

from typing import Any, Dict, Final, Optional, Sequence

import numpy as np

from runtime.host.compile.library.choice import Operand, Prepared, constants_of
from runtime.host.compile.library.rescaling import flip_of, rescaling_of

OUTPUTS: Final = 4  # that the kernel computes at a time
INPUTS: Final = 4  # in a word of weights


def prepared_dense(
    attributes: Dict[str, Any], inputs: Sequence[Operand], output: Operand
) -> Optional[Prepared]:
    """Return the kernel of an IntegerDense; None if it does not take it."""
    x, weights = inputs[0], inputs[1]
    taps, bias, multipliers = constants_of(inputs)
    rescaling = rescaling_of(attributes, taps, bias, multipliers, x.dtype, output.dtype)
    if rescaling is None:
        return None
    (rows, count), made = x.shape, weights.shape[0]
    words, fours = -(-count // INPUTS), -(-made // OUTPUTS)
    taps = np.pad(taps, ((0, fours * OUTPUTS - made), (0, words * INPUTS - count)))
    packed = taps.reshape(fours, OUTPUTS, words, INPUTS).swapaxes(1, 2)
    channels = np.pad(rescaling.channels, ((0, fours * OUTPUTS - made), (0, 0)))
    wide, narrow = 2 * INPUTS * words, INPUTS * words if x.dtype == "uint8" or count % INPUTS else 0
    is_wide = wide <= count + made
    values = {
        "rows": rows,
        "outputs": made,
        "inputs": count,
        "flip": flip_of(x.dtype),
        "rescale": rescaling.fields,
    }
    return Prepared(
        "dense.h",
        "mtvm_dense_wide" if is_wide else "mtvm_dense",
        ("mtvm_dense_t", values),
        (np.ascontiguousarray(packed).reshape(-1), channels.reshape(-1)),
        wide if is_wide else narrow,
        False,
    )
