# SPDX-License-Identifier: Apache-2.0
"""Rules that find kernels with wrong answers in TVM's C before anything is built.

STRIDED and AVERAGED were observed with TVM 0.16 on emulated boards, while other targets had correct answers.
Each rule reads the fixed form of generated C. A rule finds nothing in code of another form.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Optional

from runtime.host.archive.generated_c import Function
from runtime.host.project.finding import Finding

if TYPE_CHECKING:
    from runtime.host.archive.model_archive import ModelArchive


STRIDED: Final = Finding(
    "has a depthwise convolution with strides for which TVM's Cortex-M kernel has wrong answers: no window "
    "reads the end of a padded row, so TVM omits this end, but the kernel still expects it",
    "Build the model for the target `c -keys=cpu`, or choose the padding so that width + padding - kernel "
    "width is a multiple of the stride.",
)

AVERAGED: Final = Finding(
    "has an nn.avg_pool of 8- or 16-bit integers, for which TVM's C writes 32-bit numbers into the smaller "
    "tensor",
    "Cast the input of the pooling to int32 in the model, and cast its result back.",
)

HIDING: Final = Finding(
    "has a variable with the name inf, inff, nan or nanf, which TVM also writes for infinity and "
    "not-a-number",
    "Rename the variable in the model.",
)

# Numbers only: a tensor with such a name in place of a constant does not compile.
_HIDES: Final = re.compile(rb"\b(?:bool|float|double|u?int\d{1,2}_t) (?:inff?|nanf?)(?= ?[=;,)])")

# A call of the kernel: its output, then its input at the row of `i` and the column of `j`. The kernel's name
# has the width of a row in pixels and the number of channels.
_CONVOLVES: Final = re.compile(
    rb"kernel_convolve_int(?:8|16)_w(?P<width>\d{1,6})_c(?P<channels>\d{1,6})_kh\d+_kw\d+_\w{1,200}"
    rb"\(\(&\([^;\n]{0,300}?\), \(&\((?:\(\(int(?:8|16)_t\*\))?\w{1,200}\)?\[(?P<index>[^;\]\n]{0,300})\]"
)
_ROW: Final = re.compile(rb"\bi \* (\d{1,9})\)")

# A kernel that begins with an average. Its name lists the fused operators. A cast among them makes the result
# correct, and a shortened name may hide a cast.
_AVERAGE: Final = re.compile(r"\w{1,100}_fused_nn_avg_pool[123]d(?P<rest>\w*)")
_CUT: Final = re.compile(r"_[0-9a-f]{8,}_?$")
_NARROW_INPUT: Final = re.compile(r"\(\(u?int(?:8|16)_t\*\)p0(?:_\d+)?\)\[|\bu?int(?:8|16)_t\* p0\b")
_DATA: Final = re.compile(r"void\* (\w+) = \(\(\(DLTensor\*\)\w+\)\[0\]\.data\);")
_STORED: Final = re.compile(r"^ *\(\(int32_t\*\)(\w+)\)\[", re.MULTILINE)
_WIDE_PARAMETER: Final = re.compile(r"\bint32_t\* (?!arg_type_ids\b|out_ret_tcode\b)\w")


def wrong_kernel(archive: ModelArchive) -> Optional[Finding]:
    """Find a kernel in the archive's C that has wrong answers."""
    for name in archive.sources:
        code = archive.read(name)
        if b"kernel_convolve_int" in code and any(map(_skips_pixels, _CONVOLVES.finditer(code))):
            return STRIDED
        if (b" inf" in code or b" nan" in code) and _HIDES.search(code):
            return HIDING
    if any(_writes_past_its_output(name, function) for name, function in archive.functions.items()):
        return AVERAGED
    return None


def _skips_pixels(call: re.Match[bytes]) -> bool:
    """Return whether successive rows of outputs start at distances that are not whole rows of the kernel."""
    row = _ROW.search(call["index"])
    return row is not None and int(row[1]) % (int(call["width"]) * int(call["channels"])) != 0


def _writes_past_its_output(name: str, kernel: Function) -> bool:
    """Return whether an average of narrow integers stores numbers of 32 bits, with no cast in its graph."""
    average = _AVERAGE.fullmatch(name)
    if average is None or "cast" in average["rest"] or _CUT.search(average["rest"]):
        return False
    if not (_NARROW_INPUT.search(kernel.parameters) or _NARROW_INPUT.search(kernel.body)):
        return False
    # The packed interface passes tensors, the C interface pointers to their numbers.
    stored = set(_STORED.findall(kernel.body)) & set(_DATA.findall(kernel.body))
    return bool(stored or _WIDE_PARAMETER.search(kernel.parameters))
