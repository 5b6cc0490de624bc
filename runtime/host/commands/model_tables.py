# SPDX-License-Identifier: Apache-2.0
"""Text and JSON about a model, which compile and inspect share."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from runtime.host.archive.about import OperatorFacts, TensorFact, VerificationFacts
from runtime.host.archive.kernel_list import KernelRow
from runtime.host.commands.console import out
from runtime.host.firmware.memory_forecast import Need

WIDTH = 12  # characters of the first column of facts
Rows = Sequence[Tuple[str, str]]


def print_rows(rows: Rows) -> None:
    """Print facts, one a line."""
    for what, value in rows:
        out.print(f"{what:{WIDTH}} {value}")


def shape_text(shape: Optional[Sequence[int]]) -> str:
    """Return extents as 1x3x32x32."""
    return "unknown shape" if shape is None else "x".join(map(str, shape)) or "scalar"


def count_text(count: Optional[int], unit: str = "") -> str:
    """Return a number with its unit, or "not known"."""
    return "not known" if count is None else f"{count:,}{f' {unit}' if unit else ''}"


def in_float_rows(operators: Sequence[str]) -> Rows:
    """Return the operators of quantized tensors that compute floating-point numbers, if there are any."""
    counts = {name: operators.count(name) for name in operators}
    named = [name if count == 1 else f"{count} {name}" for name, count in counts.items()]
    return [("in float", f"{', '.join(named)}: slower than integers")] if named else []


def verified_rows(verified: Optional[VerificationFacts]) -> Rows:
    """Return the result of the verification in words."""
    if verified is None:
        return [("verified", "no: use `verify` to compare the answers with a reference")]
    return [
        (
            "verified",
            f"{found.name}: largest error {found.largest_error:.2g} where {verified.reference} has at most "
            f"{found.largest_value:.3g}, {verified.sets} sets of inputs",
        )
        for found in verified.outputs
    ]


def memory_rows(needs: Sequence[Need], board: str) -> Rows:
    """Return what a firmware needs of each memory of a board, and whether the board has it."""
    rows = []
    for need in needs:
        size = need.size_bytes
        if size is None:
            continue
        parts = ", ".join(f"{part.name} {part.size_bytes:,}" for part in need.parts)
        verdict = "" if need.fits is None else ", fits" if need.fits else ", does NOT fit"
        limit = "" if need.board_bytes is None else f" of {need.board_bytes:,} bytes of {board}"
        rows.append((need.memory, f"about {size:,}{limit}{verdict} ({parts})"))
    return rows


def memory_fields(needs: Sequence[Need]) -> List[Dict[str, Any]]:
    """Return the need of each memory."""
    return [
        {
            "memory": need.memory,
            "parts": [{"part": part.name, "bytes": part.size_bytes} for part in need.parts],
            "bytes": need.size_bytes,
            "board_bytes": need.board_bytes,
            "fits": need.fits,
        }
        for need in needs
    ]


def tensors_fields(tensors: Sequence[Any]) -> List[Dict[str, Any]]:
    """Return name, type, shape and bytes of inputs or outputs."""
    return [
        {
            "name": tensor.name,
            "dtype": tensor.dtype,
            "shape": None if tensor.shape is None else list(tensor.shape),
            "bytes": tensor.size_bytes,
        }
        for tensor in tensors
    ]


def operator_fields(operators: Optional[Sequence[OperatorFacts]]) -> Optional[List[Dict[str, Any]]]:
    """Return the operators of a model; None if they are not known."""
    return None if operators is None else [operator._asdict() for operator in operators]


def kernel_fields(kernels: Sequence[KernelRow]) -> List[Dict[str, Any]]:
    """Return the calls of kernels."""
    return [
        {
            "name": kernel.name,
            "outputs": None if kernel.outputs is None else list(map(_output_fields, kernel.outputs)),
            "arena_bytes": kernel.arena_bytes,
            "scratch_bytes": kernel.scratch_bytes,
        }
        for kernel in kernels
    ]


def _output_fields(tensor: TensorFact) -> Mapping[str, Any]:
    return {"dtype": tensor.dtype, "shape": list(tensor.shape), "bytes": tensor.size_bytes}


def verified_fields(verified: Optional[VerificationFacts]) -> Optional[Dict[str, Any]]:
    """Return the result of the verification; None without one."""
    if verified is None:
        return None
    return {
        "reference": verified.reference,
        "sets_of_inputs": verified.sets,
        "outputs": [found._asdict() for found in verified.outputs],
    }
