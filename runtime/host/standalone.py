# SPDX-License-Identifier: Apache-2.0
"""C of a standalone project: the input that its firmware runs on, and the call of a C interface.

What the files must define is said in runtime/device/include/microtvm/app.h.
"""

from __future__ import annotations

import struct
from typing import Dict, Final, List, Mapping

from runtime.host.archive import ModelArchive, TensorSpec
from runtime.host.sources import c_string
from runtime.host.tensor import DType

BYTES_A_LINE: Final = 16
FLOAT_FORMATS: Final = {"float16": "e", "float32": "f", "float64": "d"}


def generated(archive: ModelArchive, samples: Mapping[str, bytes]) -> Dict[str, str]:
    """File name -> content, for the project's src/.

    samples: input name -> its bytes; an input without one counts from 0 to 99, again and again.
    """
    samples = {**{spec.name: _counting_up(spec) for spec in archive.inputs}, **samples}
    files = {"model_input.c": _model_input(archive, samples)}
    if archive.c_interface is not None:
        files["model_io.c"] = _model_io(archive)
    return files


def _counting_up(spec: TensorSpec) -> bytes:
    """0, 1, ... 99, again and again; for a bool 0, 1."""
    dtype = DType.parse(spec.dtype)
    count = spec.size_bytes // dtype.itemsize
    values = [index % (2 if dtype.bits == 1 else 100) for index in range(count)]
    if str(dtype) in FLOAT_FORMATS:
        return struct.pack(f"<{count}{FLOAT_FORMATS[str(dtype)]}", *values)
    return b"".join(value.to_bytes(dtype.itemsize, "little") for value in values)


def _model_input(archive: ModelArchive, samples: Mapping[str, bytes]) -> str:
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* What the model is run on: little-endian, one array for each input. Put your own data here. */",
        '#include "microtvm/app.h"',
        "",
        f"const char mtvm_model_name[] = {c_string(archive.module)};",
        "",
    ]
    rows = []
    for index, spec in enumerate(archive.inputs):
        data = samples[spec.name]
        lines.append(f"static const uint8_t sample_{index}[{len(data)}] = {{ /* {spec.dtype} */")
        lines += _byte_lines(data)
        lines += ["};", ""]
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


def _byte_lines(data: bytes) -> List[str]:
    return [
        "    " + ", ".join(str(byte) for byte in data[start : start + BYTES_A_LINE]) + ","
        for start in range(0, len(data), BYTES_A_LINE)
    ]
