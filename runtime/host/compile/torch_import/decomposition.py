# SPDX-License-Identifier: Apache-2.0
"""Decomposition of a program to operators that TVM imports correctly."""

from __future__ import annotations

from typing import Any, Dict, Final

import torch
from torch.export import ExportedProgram

from runtime.host.compile.torch_import import (
    rules_arithmetic,
    rules_indexing,
    rules_reduction,
    rules_windows,
)
from runtime.host.compile.torch_import.rules_arithmetic import Rule

aten = torch.ops.aten

RULES: Final[Dict[Any, Rule]] = {
    **rules_arithmetic.RULES,
    **rules_indexing.RULES,
    **rules_reduction.RULES,
    **rules_windows.RULES,
}
"""Operator -> decomposition of ours."""

OF_TORCH: Final = (
    *(aten.addmv, aten.grid_sampler_2d, aten.im2col, aten.col2im),
    *(aten.upsample_nearest1d, aten.upsample_nearest2d, aten.upsample_nearest3d),
    *(aten._upsample_nearest_exact1d, aten._upsample_nearest_exact2d, aten._upsample_nearest_exact3d),
    *(aten.reflection_pad1d, aten.reflection_pad2d, aten.reflection_pad3d),
    *(aten.replication_pad1d, aten.replication_pad2d, aten.replication_pad3d),
)
"""Operators with a decomposition of PyTorch that torch.export does not apply automatically."""


def decomposed(program: ExportedProgram) -> ExportedProgram:
    """Return an equivalent program of fewer kinds of operators.

    PyTorch traces the program again, and applies the rules until none returns another form.
    """
    table = torch.export.default_decompositions()
    table.update(torch._decomp.get_decompositions(OF_TORCH))
    table.update(RULES)
    return program.run_decompositions(table)
