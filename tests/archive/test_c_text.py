# SPDX-License-Identifier: Apache-2.0
"""C text that names the files that belong together."""

from __future__ import annotations

import pytest

from runtime.host.archive import c_text
from runtime.host.archive.c_text import Include

HEADER = """\
/* A guard does not make an include depend on anything. #include "comment.h" */
#ifndef NN_H
#define NN_H
#include <stdint.h>
  #  include "types.h" // always
#if defined(_MSC_VER)
#include "intrin.h"
#else
#include <gcc.h>
#endif
#ifdef __cplusplus
extern "C" {
#endif
int declared(int x);
#define SHORTCUT(x) \\
  in_macro(x)
static inline int body(int x) { return in_body(x); }
#ifdef __cplusplus
}
#endif
#endif
"""


def test_includes_and_what_decides_on_them() -> None:
    assert c_text.includes_of(HEADER) == [
        Include("stdint.h", quoted=False, always=True),
        Include("types.h", quoted=True, always=True),
        Include("intrin.h", quoted=True, always=False),
        Include("gcc.h", quoted=False, always=False),
    ]


def test_a_header_uses_what_is_in_bodies_and_macros() -> None:
    used = c_text.used_in_bodies(HEADER)
    assert {"in_macro", "in_body"} <= used
    assert "declared" not in used


@pytest.mark.parametrize(
    ("text", "shared", "own"),
    [
        ("int f(int x)\n{\n    if (x) { return 1; }\n    return 0;\n}\n", {"f"}, set()),
        ("int f(int x);\n", set(), set()),
        ("static int f(void) { return 0; }\nint g(void) { return f(); }\n", {"g"}, {"f"}),
        ("__STATIC_FORCEINLINE int f(void) { return 0; }\n", set(), {"f"}),
        ("__attribute__((noinline))\nint f(int (*call)(int), int x) { return call(x); }\n", {"f"}, set()),
        ("int f(int x) __attribute__((weak)) { return x; }\n", {"f"}, set()),
        ("const int table[2] = {1, 2};\n", {"table"}, set()),
        ("__ALIGNED(4) const short table[COUNT] =\n{1};\n", {"table"}, set()),
        ("extern const int table[2];\n", set(), set()),
        ("static const int table[] = {1};\n", set(), {"table"}),
        ("void f(void) {\n    int local[2] = {0};\n}\n", {"f"}, set()),
        ("// int f(void) { }\n/* int g(void) { } */\n", set(), set()),
        ('const char *text = "int f(void) { }";\n', {"text"}, {"f"}),
    ],
)
def test_definitions_for_other_files_and_for_the_file_itself(text: str, shared: set, own: set) -> None:  # type: ignore[type-arg]
    assert c_text.shared_names(text) - own == shared
    assert c_text.defined_names(text) == shared | own


def test_long_text_takes_no_time() -> None:
    weights = "static const int8_t weights[] = {" + "0x01, " * 300_000 + "};\n"
    assert c_text.defined_names(weights + "int f(void) { return 0; }\n") == {"weights", "f"}
    assert c_text.used_names("/* " * 300_000) == set()
    assert c_text.called_names("(" * 100_000) == set()
    assert c_text.defined_names("f(" * 3_000 + ")" * 3_000) == set()
