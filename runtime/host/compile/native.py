# SPDX-License-Identifier: Apache-2.0
"""Run of a compiled model on this machine: its C files, built with the host's compiler, in a process.

The program calls the packed entry, as the device runtime does, for each set of inputs in a file.
"""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import Dict, Final, List, Mapping, Sequence

import numpy as np

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tensor_specs import TensorSpec
from runtime.host.compile.errors import ModelError
from runtime.host.dtype import DType
from runtime.host.firmware.compilers import find_compiler
from runtime.host.system.programs import run_tool

Arrays = Mapping[str, "np.ndarray"]

INCLUDE: Final = Path(__file__).resolve().parents[2] / "device" / "include"
FLAGS: Final = ("-std=gnu11", "-O1", "-fno-strict-aliasing", "-w")
BUILD_SEC: Final = 300.0
RUN_SEC: Final = 300.0
UNTOUCHED: Final = 0xA5  # byte of an output that the model did not write
CHANGED_INPUT: Final = 3  # exit status
FAILED_CALL: Final = 4


def run_natively(
    archive: ModelArchive, samples: Sequence[Arrays], extra_flags: Sequence[str] = ()
) -> List[Dict[str, np.ndarray]]:
    """Return the outputs of a compiled model for each set of inputs.

    Args:
        archive: Archive of the `compile` command.
        samples: Sets of inputs by name, in the types and shapes of the model.
        extra_flags: More arguments of the compiler, such as sanitizers.

    Raises:
        ModelError: The C does not compile, or the program crashes, times out or changes an input.
        ToolMissing: This machine has no C compiler.
    """
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(prefix="microtvm-") as name:
        directory = Path(name)
        sources = [directory / "driver.c"]
        sources[0].write_text(_driver(archive), encoding="utf-8")
        for source in archive.sources:
            sources.append(directory / Path(source).name)
            sources[-1].write_bytes(archive.read(source))
        program = directory / "model"
        argv = [*shlex.split(compiler), *FLAGS, *extra_flags, f"-I{INCLUDE}", *map(str, sources)]
        built = run_tool([*argv, "-o", str(program), "-lm"], cwd=directory, timeout_sec=BUILD_SEC)
        if built.exit_code != 0:
            raise ModelError(
                "The C of the model does not compile on this machine.",
                "Report the model and this log as a bug of the template.",
                built.output[-4000:],
            )
        given, made = directory / "inputs", directory / "outputs"
        with given.open("wb") as file:
            for sample in samples:
                for spec in archive.inputs:
                    file.write(np.ascontiguousarray(sample[spec.name]).tobytes())
        ran = run_tool([str(program), str(given), str(made)], cwd=directory, timeout_sec=RUN_SEC)
        if ran.exit_code != 0 or ran.timed_out:
            raise ModelError(
                _why(ran.exit_code, ran.timed_out),
                "Report the model and this log as a bug of the template.",
                ran.output[-4000:],
            )
        data = made.read_bytes() if made.exists() else b""
    return _split(data, archive.outputs, len(samples))


def _why(exit_code: int, timed_out: bool) -> str:
    if timed_out:
        return f"The compiled model did not finish in {RUN_SEC:.0f} s on this machine."
    if exit_code == CHANGED_INPUT:
        return "The compiled model changes one of its inputs."
    if exit_code == FAILED_CALL:
        return "The compiled model reports a failure."
    return f"The compiled model failed on this machine with exit status {exit_code}."


def _split(data: bytes, specs: Sequence[TensorSpec], count: int) -> List[Dict[str, np.ndarray]]:
    results = []
    at = 0
    for _ in range(count):
        outputs = {}
        for spec in specs:
            dtype = np.dtype(spec.dtype)
            array = np.frombuffer(data, dtype, spec.size_bytes // dtype.itemsize, at)
            outputs[spec.name] = array.reshape(spec.shape or ())
            at += spec.size_bytes
        results.append(outputs)
    return results


def _driver(archive: ModelArchive) -> str:
    """Return a C program that runs the model for each set of inputs in a file."""
    inputs, outputs = archive.inputs, archive.outputs
    tensors = [*inputs, *outputs]
    entry = f"tvmgen_{archive.module}_run"
    lines = [
        "#include <stdint.h>",
        "#include <stdio.h>",
        "#include <string.h>",
        "#include <tvm/runtime/c_runtime_api.h>",
        f"int32_t {entry}(TVMValue *, int *, int, TVMValue *, int *, void *);",
    ]
    for index, spec in enumerate(tensors):
        size = max(1, spec.size_bytes)
        shape = ", ".join(map(str, spec.shape or ())) or "0"
        lines += [
            f"static _Alignas(16) uint8_t data{index}[{size}];",
            f"static uint8_t before{index}[{size if index < len(inputs) else 1}];",
            f"static int64_t shape{index}[] = {{{shape}}};",
        ]
    lines.append(f"static DLTensor tensors[{max(1, len(tensors))}] = {{")
    for index, spec in enumerate(tensors):
        dtype = DType.parse(spec.dtype)
        lines.append(
            f"  {{data{index}, {{1, 0}}, {len(spec.shape or ())}, {{{dtype.code}, {dtype.bits}, 1}}, "
            f"shape{index}, NULL, 0}},"
        )
    lines += [
        "};",
        "int main(int argc, char **argv) {",
        '  FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;',
        '  FILE *out = argc == 3 ? fopen(argv[2], "wb") : NULL;',
        f"  TVMValue args[{len(tensors) or 1}], result;",
        f"  int codes[{len(tensors) or 1}] = {{0}}, code;",
        "  if (!in || !out) return 1;",
        f"  for (int i = 0; i < {len(tensors)}; ++i) args[i].v_handle = &tensors[i];",
        "  for (;;) {",
    ]
    for index, spec in enumerate(inputs):
        lines += [
            f"    if (fread(data{index}, 1, {spec.size_bytes}, in) != {spec.size_bytes})",
            "      return fclose(out) != 0;",
            f"    memcpy(before{index}, data{index}, {spec.size_bytes});",
        ]
    if not inputs:
        lines.append("    static int runs;\n    if (runs++) return fclose(out) != 0;")
    for index in range(len(inputs), len(tensors)):
        lines.append(f"    memset(data{index}, {UNTOUCHED}, sizeof data{index});")
    lines.append(
        f"    if ({entry}(args, codes, {len(tensors)}, &result, &code, NULL) != 0) return {FAILED_CALL};"
    )
    for index, spec in enumerate(inputs):
        lines.append(
            f"    if (memcmp(before{index}, data{index}, {spec.size_bytes})) return {CHANGED_INPUT};"
        )
    for index, spec in enumerate(outputs, len(inputs)):
        lines.append(f"    fwrite(data{index}, 1, {spec.size_bytes}, out);")
    return "\n".join([*lines, "  }", "}", ""])
