# SPDX-License-Identifier: Apache-2.0
"""C sources of a standalone project: the model's input, and the call of its C interface.

runtime/device/include/microtvm/app.h declares the symbols that these files must define.
"""

from __future__ import annotations

import itertools
import struct
from typing import Dict, Final, List, Mapping

from runtime.host.archive.model_archive import ModelArchive, TensorSpec
from runtime.host.boards.board import Board
from runtime.host.dtype import DType
from runtime.host.errors import PlatformError
from runtime.host.project.project_files import c_string

BYTES_A_LINE: Final = 16
STRING_BYTES: Final = 1600  # of one string literal; a multiple of the pattern's period for all element sizes
MACRO_TIMES: Final = 16
MAX_NUMBERS: Final = 1 << 16  # largest input in bytes that is written as numbers
MAX_INPUT_BYTES: Final = 32 << 20
"""Limit of all inputs together: for such a string literal, gcc needs 7 s and 0.8 GB."""

_ESCAPES: Final = [f"\\{byte:03o}" for byte in range(256)]
FLOAT_FORMATS: Final = {"float16": "e", "float32": "f", "float64": "d"}


def check_sizes(archive: ModelArchive, board: Board) -> None:
    """Raise PlatformError for inputs that are too large as constants in a firmware for this board."""
    needed = sum(spec.size_bytes for spec in archive.inputs)
    limit = min(MAX_INPUT_BYTES, board.flash_bytes or MAX_INPUT_BYTES)
    if needed > limit:
        raise PlatformError(
            f"The inputs of the model have {needed:,} bytes, but a standalone firmware for board "
            f"{board.name} can contain at most {limit:,} bytes of constants.",
            "Use project_type=host_driven, which sends the inputs from the host, or a model with smaller "
            "inputs.",
        )


def generated(archive: ModelArchive, samples: Mapping[str, bytes]) -> Dict[str, str]:
    """Return file name -> content of each file in the project's src/.

    Args:
        archive: Model archive.
        samples: Input name -> its bytes, little-endian. An input without bytes repeats the numbers 0 to 99.
    """
    samples = {**{spec.name: _counting_up(spec) for spec in archive.inputs}, **samples}
    files = {"model_input.c": _model_input(archive, samples)}
    if archive.c_interface is not None:
        files["model_io.c"] = _model_io(archive)
    return files


def _counting_up(spec: TensorSpec) -> bytes:
    """Return the bytes of an input that repeats 0, 1, ... 99, or 0, 1 for a bool."""
    dtype = DType.parse(spec.dtype)
    count = spec.size_bytes // dtype.itemsize
    values = range(min(count, 2 if dtype.bits == 1 else 100))
    if str(dtype) in FLOAT_FORMATS:
        period = struct.pack(f"<{len(values)}{FLOAT_FORMATS[str(dtype)]}", *values)
    else:
        period = b"".join(value.to_bytes(dtype.itemsize, "little") for value in values)
    size = count * dtype.itemsize
    return (period * (size // max(1, len(period)) + 1))[:size]


def _model_input(archive: ModelArchive, samples: Mapping[str, bytes]) -> str:
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Inputs of the model: one little-endian array for each. Replace the bytes with your own data. */",
        '#include "microtvm/app.h"',
        "",
        f"const char mtvm_model_name[] = {c_string(archive.module)};",
        "",
    ]
    rows = []
    for index, spec in enumerate(archive.inputs):
        data = samples[spec.name]
        brace = "{ " if len(data) <= MAX_NUMBERS else ""
        lines.append(f"static const uint8_t sample_{index}[{len(data)}] = {brace}/* {spec.dtype} */")
        lines += [*_bytes(data), ""]
        rows.append(f"    {{{c_string(spec.name)}, sample_{index}, sizeof sample_{index}}},")
    lines += ["const mtvm_sample_t mtvm_samples[] = {", *rows, "};"]
    lines += [f"const size_t mtvm_sample_count = {len(rows)};", ""]
    return "\n".join(lines)


def _model_io(archive: ModelArchive) -> str:
    interface = archive.c_interface
    assert interface is not None
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Calls the model through its C interface. */",
        '#include "microtvm/app.h"',
        f'#include "{interface.header}"',
        "",
    ]
    for kind, specs in (("input", archive.inputs), ("output", archive.outputs)):
        rows = []
        for index, spec in enumerate(specs):
            name = f"{kind}_{index}"
            dtype = DType.parse(spec.dtype)
            lines.append(f"static uint8_t {name}[{spec.size_bytes}] __attribute__((aligned(16)));")
            kind_of = f"{{{dtype.code}, {dtype.bits}, {dtype.lanes}}}"
            rows.append(f"    {{{kind_of}, sizeof {name}, {name}}},")
        members = ", ".join(f".{spec.c_name} = {kind}_{index}" for index, spec in enumerate(specs))
        lines += [f"static const mtvm_model_tensor_t {kind}_table[] = {{", *rows, "};"]
        lines += [f"static struct {interface.prefix}_{kind}s {kind}s = {{{members}}};", ""]
    lines += [
        "int mtvm_model_open(void) { return 0; }",
        "",
        *_table_reader("input"),
        *_table_reader("output"),
        "int mtvm_model_run(void) {",
        f"  return (int){interface.run}({', '.join('&' + argument for argument in interface.arguments)});",
        "}",
        "",
    ]
    return "\n".join(lines)


def _table_reader(kind: str) -> List[str]:
    return [
        f"bool mtvm_model_{kind}(size_t index, mtvm_model_tensor_t *tensor) {{",
        f"  if (index >= sizeof {kind}_table / sizeof {kind}_table[0]) {{",
        "    return false;",
        "  }",
        f"  *tensor = {kind}_table[index];",
        "  return true;",
        "}",
        "",
    ]


def _bytes(data: bytes) -> List[str]:
    """Return the initializer of an array: numbers after a brace, or a string for a large array.

    The compiler would need minutes for a large array of numbers.
    """
    if len(data) <= MAX_NUMBERS:
        rows = (data[start : start + BYTES_A_LINE] for start in range(0, len(data), BYTES_A_LINE))
        return [*(f"    {', '.join(map(str, row))}," for row in rows), "};"]
    rows = (data[start : start + STRING_BYTES] for start in range(0, len(data), STRING_BYTES))
    lines = []
    for row, group in itertools.groupby(rows):
        literal = f'"{"".join(map(_ESCAPES.__getitem__, row))}"'
        lines += _repeated(literal, sum(1 for _ in group))
    return [*lines, ";"]


def _repeated(literal: str, times: int) -> List[str]:
    """Return a string literal `times` times, with macros that repeat it 16 times if this is shorter."""
    if times < MACRO_TIMES:
        return [literal] * times
    lines, uses = [], []
    name, inner = "MTVM_ROW", literal
    while times:
        lines += [f"#undef {name}", f"#define {name} {inner}"]
        uses.append(f"{name} " * (times % MACRO_TIMES))
        times //= MACRO_TIMES
        name, inner = f"{name}X", f"{name} " * MACRO_TIMES
    return [*lines, *(use.rstrip() for use in uses if use)]
