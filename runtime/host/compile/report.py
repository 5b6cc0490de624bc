# SPDX-License-Identifier: Apache-2.0
"""Facts about a compiled model, which its archive keeps under "about" in metadata.json."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from runtime.host.compile.compiler import Compiled
from runtime.host.compile.verification import Verified


def about(compiled: Compiled, model: Optional[Any] = None) -> Dict[str, Any]:
    """Return the facts about a compiled model as JSON.

    Args:
        compiled: Compiled model.
        model: onnx.ModelProto with static shapes that it was compiled from; None for another kind.
    """
    facts: Dict[str, Any] = {
        "made_by": "microtvm-template",
        "kernels": _kernels(compiled),
        "arena_bytes": compiled.placement.arena_bytes,
        "arena_bound_bytes": compiled.placement.bound_bytes,
        "constant_bytes": sum(tensor.size_bytes for tensor in compiled.program.constants),
    }
    if model is not None:
        from runtime.host.compile.operators import operators_of, parameters_of

        facts["operators"] = [operator._asdict() for operator in operators_of(model)]
        facts["parameters"] = parameters_of(model)
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
    return [
        {
            "name": compiled.kernels[call.kernel].name,
            "outputs": [
                {"dtype": tensor.dtype, "shape": list(tensor.shape), "size_bytes": tensor.size_bytes}
                for tensor in call.outputs
            ],
            "scratch_bytes": compiled.kernels[call.kernel].scratch_bytes,
        }
        for call in compiled.program.calls
    ]
