# SPDX-License-Identifier: Apache-2.0
"""Facts about a compiled model, which its archive keeps under "about" in metadata.json.

archive/about.py reads them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from runtime.host.archive.about import MADE_BY
from runtime.host.compile.compiler import Compiled
from runtime.host.compile.trained.model import TrainedModel
from runtime.host.compile.verification import Verified


def about(compiled: Compiled, source: TrainedModel) -> Dict[str, Any]:
    """Return the facts about a compiled model as JSON.

    Args:
        compiled: Compiled model.
        source: Model that it was compiled from.
    """
    facts: Dict[str, Any] = {
        "made_by": MADE_BY,
        "kernels": _kernels(compiled),
        "arena_bytes": compiled.placement.arena_bytes,
        "arena_bound_bytes": compiled.placement.bound_bytes,
        "constant_bytes": sum(tensor.size_bytes for tensor in compiled.program.constants),
    }
    operators = source.operators()
    if operators is not None:
        facts["operators"] = [operator._asdict() for operator in operators]
        facts["parameters"] = source.parameters()
        facts["in_float"] = source.in_float()
    return facts


def about_verification(verified: Verified) -> Dict[str, Any]:
    """Return the result of a verification as JSON."""
    return {
        "verified": {
            "reference": verified.reference,
            "sets_of_inputs": verified.sets,
            "outputs": [
                {
                    "name": found.name,
                    "largest_error": found.largest_error,
                    "mean_error": found.mean_error,
                    "largest_value": found.largest_value,
                }
                for found in verified.differences
            ],
        }
    }


def _kernels(compiled: Compiled) -> List[Dict[str, Any]]:
    """Return the calls of kernels in order."""
    in_use = _arena_in_use(compiled)
    return [
        {
            "name": compiled.kernels[call.kernel].name,
            "outputs": [
                {"dtype": tensor.dtype, "shape": list(tensor.shape), "size_bytes": tensor.size_bytes}
                for tensor in call.outputs
            ],
            "arena_bytes": in_use[number],
            "scratch_bytes": compiled.kernels[call.kernel].scratch_bytes,
        }
        for number, call in enumerate(compiled.program.calls)
    ]


def _arena_in_use(compiled: Compiled) -> List[int]:
    """Return the bytes of the arena in use during each call: tensors that are alive, and scratch.

    A tensor is alive from the call that writes it to the last call that reads it. Two tensors that share
    memory count once.
    """
    placement, calls = compiled.placement, compiled.program.calls
    lives: Dict[Any, Tuple[int, int]] = {}
    for number, call in enumerate(calls):
        for root in (tensor.root for tensor in call.tensors):
            if root in placement.offsets:
                lives[root] = (lives.get(root, (number,))[0], number)
    in_use = []
    for number, call in enumerate(calls):
        pieces = [
            (placement.offsets[tensor], placement.offsets[tensor] + tensor.size_bytes)
            for tensor, (first, last) in lives.items()
            if first <= number <= last
        ]
        if number in placement.scratch:
            start = placement.scratch[number]
            pieces.append((start, start + compiled.kernels[call.kernel].scratch_bytes))
        in_use.append(_covered(pieces))
    return in_use


def _covered(pieces: List[Tuple[int, int]]) -> int:
    """Return the number of bytes in the union of ranges."""
    covered = reached = 0
    for start, end in sorted(pieces):
        covered += max(0, end - max(start, reached))
        reached = max(reached, end)
    return covered
