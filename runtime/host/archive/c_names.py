# SPDX-License-Identifier: Apache-2.0
"""Names that C code cannot use for a variable or a struct member, as in TVM's generated C.

Generated C includes the runtime's headers, math.h and stdbool.h; kernels for Arm include more. The macros of
these headers were listed with `gcc -dM -E` for x86-64, Arm (newlib) and RISC-V (picolibc).
"""

from __future__ import annotations

import re
from typing import Final

_KEYWORDS: Final = (
    "auto break case char const continue default do double else enum extern float for goto if inline "
    "int long register restrict return short signed sizeof static struct switch typedef union unsigned "
    "void volatile while asm typeof _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary "
    "_Noreturn _Static_assert _Thread_local"
)
KEYWORDS: Final = frozenset(_KEYWORDS.split())
# Object-like macros that do not belong to a family in MACRO_FAMILIES.
_MACROS: Final = (
    "ATEXIT_MAX ATOMIC_UNGETC BIG_ENDIAN BUFSIZ BYTE_ORDER DECIMAL_DIG EOF EXIT_FAILURE EXIT_SUCCESS "
    "FALLTHROUGH FAST_STRCMP FILENAME_MAX FOPEN_MAX HAVE_INITFINI_ARRAY INFINITY LITTLE_ENDIAN "
    "L_ctermid L_tmpnam MAXFLOAT MB_CUR_MAX NAN NEWLIB_THREAD_LOCAL NEWLIB_TLS NFDBITS NULL PDP_ENDIAN "
    "POSIX_IO PREFER_SIZE_OVER_SPEED P_tmpdir RAND_MAX SIZE_MAX TINY_STDIO TMP_MAX WCONTINUED WEXITED "
    "WNOHANG WNOWAIT WSTOPPED WUNTRACED bool false fd_set linux unix i386 math_errhandling physadr quad "
    "signgam stderr stdin stdout strtodf true errno"
)
MACROS: Final = frozenset(_MACROS.split())
MACRO_FAMILIES: Final = re.compile(
    r"U?INT\w*_(?:MAX|MIN|WIDTH|C)|(?:PTRDIFF|SIG_ATOMIC|WCHAR|WINT|S?SIZE)_(?:MAX|MIN|WIDTH)"
    r"|(?:PRI|SCN)[dioxXu]\w*|(?:M|FP|MATH|DBL|FLT|LDBL|SEEK|FCLASS|EXT|SCHED|PTHREAD|PICOLIBC|MTVM|FD)_\w+"
    r"|HUGE_VAL[FL]?"
)
# Types and functions that a main function uses. A variable of that name would hide them.
HIDDEN: Final = re.compile(
    r"TVM\w*|DL[A-Z]\w*|kTVM\w*|kDL\w*|tvmgen_\w*|u?int(?:8|16|32|64)_t|size_t|uintptr_t"
)
IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")


def is_identifier(name: str) -> bool:
    """Return whether a name has the form of a C identifier."""
    return IDENTIFIER.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    """Return whether an identifier already has a meaning in generated C."""
    return (
        name in KEYWORDS
        or name in MACROS
        or MACRO_FAMILIES.fullmatch(name) is not None
        or HIDDEN.fullmatch(name) is not None
    )
