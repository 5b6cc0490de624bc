# SPDX-License-Identifier: Apache-2.0
"""The table of operators of ONNX that `compile` refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

from runtime.host.compile.onnx_rewrite.table import REFUSALS
from tools.docs.markdown import code, table


def refused(_root: Path) -> str:
    """Return a table of reasons, each with its operators."""
    by_reason: Dict[str, List[str]] = {}
    for name, reason in sorted(REFUSALS.items()):
        by_reason.setdefault(reason, []).append(name)
    rows = [[", ".join(map(code, names)), reason] for reason, names in by_reason.items()]
    return table(("operators", "reason"), rows)
