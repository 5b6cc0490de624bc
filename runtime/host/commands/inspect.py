# SPDX-License-Identifier: Apache-2.0
"""Command that shows the contents of a model: inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

from runtime.host.archive.about import OperatorFacts
from runtime.host.archive.kernel_list import KernelRow
from runtime.host.archive.tar import MODEL_ARCHIVE, read_packed
from runtime.host.commands.app import main, platform_here
from runtime.host.commands.command_options import json_option, model_argument, verbose_option
from runtime.host.commands.console import number_table, out, progress
from runtime.host.commands.json_output import error_fields, print_document
from runtime.host.commands.model_options import Shapes, compile_options
from runtime.host.commands.model_tables import (
    count_text,
    in_float_rows,
    kernel_fields,
    operator_fields,
    print_rows,
    shape_text,
    tensors_fields,
    verified_fields,
    verified_rows,
)
from runtime.host.commands.target import ModelSource, check_no_compilation, model_here
from runtime.host.compile.inspection import FORMS, Inspection, Tensor, inspect_archive, inspect_model_file
from runtime.host.compile.stored import is_model_file
from runtime.host.project.platform import MODEL_ARCHIVE as OF_PROJECT


@main.command()
@model_argument
@compile_options
@json_option
@verbose_option
def inspect(model: Optional[Path], input_shapes: Shapes, verify: bool, as_json: bool) -> None:
    """Show inputs, operators, kernels and memory of a model.

    MODEL is a model archive, or a model file, which is compiled. The output lists the parts that
    cannot be compiled, with the next step. Without MODEL, a generated project shows its own model.
    """
    platform = platform_here()
    path = (
        Path(platform.directory) / OF_PROJECT
        if platform.is_project and model is None
        else model_here(platform, model)
    )
    if is_model_file(path):
        found = inspect_model_file(path, input_shapes=input_shapes, verify=verify, progress=progress)
    else:
        check_no_compilation(ModelSource(path, input_shapes, verify), str(path))
        found = inspect_archive(read_packed(path, MODEL_ARCHIVE))
    if as_json:
        _print_json(path, found)
    else:
        _print(path, found)


def _print_json(path: Path, found: Inspection) -> None:
    print_document(
        "inspect",
        {
            "model": str(path),
            "kind": found.kind,
            "form": found.form,
            "inputs": tensors_fields(found.inputs),
            "outputs": tensors_fields(found.outputs),
            "operators": operator_fields(found.operators),
            "parameters": found.parameters,
            "macs": found.macs,
            "in_float": found.in_float,
            "peak_memory_bytes": found.peak_memory_bytes,
            "kernels": kernel_fields(found.kernels),
            "arena_bytes": found.arena_bytes,
            "arena_bound_bytes": found.arena_bound_bytes,
            "constant_bytes": found.constant_bytes,
            "verified": verified_fields(found.verified),
            "not_supported": [error_fields(error) for error in found.not_supported],
        },
    )


def _print(path: Path, found: Inspection) -> None:
    out.print(f"{path}: {found.form}")
    for what, tensors in (("input", found.inputs), ("output", found.outputs)):
        print_rows([(what, _tensor_text(tensor)) for tensor in tensors])
    if found.operators is not None:
        out.print()
        _print_operators(found.operators)
    if found.kernels:
        out.print()
        _print_kernels(found.kernels)
    out.print()
    rows = [
        ("parameters", found.parameters, ""),
        ("MACs", found.macs, ""),
        ("peak memory", found.peak_memory_bytes, "bytes of the inputs and outputs of one operator"),
        ("arena", found.arena_bytes, "bytes"),
        ("constants", found.constant_bytes, "bytes"),
    ]
    print_rows([(what, count_text(value, unit)) for what, value, unit in rows if value is not None])
    if found.operators is not None and not found.not_supported:
        print_rows(verified_rows(found.verified))
    for error in found.not_supported:
        out.print(f"not supported: {error.what}")
        out.print(f"next: {error.next_step}")
    print_rows(in_float_rows(found.in_float))
    if found.kind in dict(FORMS.values()) and not found.not_supported:
        out.print("All operators are supported.")


def _tensor_text(tensor: Tensor) -> str:
    return (
        f"{tensor.name}: {tensor.dtype} {shape_text(tensor.shape)}, {count_text(tensor.size_bytes, 'bytes')}"
    )


def _print_operators(operators: Sequence[OperatorFacts]) -> None:
    table = number_table("operator", "MACs", "parameters", "memory")
    for operator in operators:
        name = f" {operator.name}" if operator.name else ""
        table.add_row(
            f"{operator.operator}{name}: {', '.join(operator.inputs)} -> {', '.join(operator.outputs)}",
            *(f"{number:,}" for number in (operator.macs, operator.parameters, operator.memory_bytes)),
        )
    out.print(table, soft_wrap=False, crop=False)


def _print_kernels(kernels: Sequence[KernelRow]) -> None:
    table = number_table("kernel", "arena", "scratch")
    for kernel in kernels:
        outputs = [f"{tensor.dtype} {shape_text(tensor.shape)}" for tensor in kernel.outputs or ()]
        table.add_row(
            kernel.name + (f" -> {', '.join(outputs)}" if outputs else ""),
            *("-" if size is None else f"{size:,}" for size in (kernel.arena_bytes, kernel.scratch_bytes)),
        )
    out.print(table, soft_wrap=False, crop=False)
