# SPDX-License-Identifier: Apache-2.0
"""The tables of operators of ONNX that `compile` refuses, and that it computes in integers."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

from runtime.host.compile.integers.elementwise import FUNCTIONS
from runtime.host.compile.integers.model import KERNELS, ORDERED
from runtime.host.compile.integers.moves import MOVES
from runtime.host.compile.integers.pools import POOLS
from runtime.host.compile.integers.products import PRODUCTS
from runtime.host.compile.onnx_rewrite.table import REFUSALS
from tools.docs.markdown import code, table


def refused(_root: Path) -> str:
    """Return a table of reasons, each with its operators."""
    by_reason: Dict[str, List[str]] = {}
    for name, reason in sorted(REFUSALS.items()):
        by_reason.setdefault(reason, []).append(name)
    rows = [[", ".join(map(code, names)), reason] for reason, names in by_reason.items()]
    return table(("operators", "reason"), rows)


def integers(_root: Path) -> str:
    """Return a table of the operators that compute quantized tensors with integers."""
    moves = {*MOVES, *ORDERED}
    others = set(KERNELS) - set(PRODUCTS) - set(POOLS) - moves
    kinds = {
        "products with constant weights or two tensors, with a scale for each channel": set(PRODUCTS),
        "means and sums": set(POOLS),
        "by element, from two tensors; softmax; linear and cubic resize": others | {"Resize"},
        "moves and selections, on the integers as they are": moves,
        "functions of one tensor, from a table of 256 elements": set(FUNCTIONS) - moves - others,
    }
    return table(
        ("kind", "operators"), [[kind, ", ".join(map(code, sorted(names)))] for kind, names in kinds.items()]
    )
