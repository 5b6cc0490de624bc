# SPDX-License-Identifier: Apache-2.0
"""Short version of benchmarks/soak.py, a day of digits at full speed: no leak, drift or lost byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import SESSION, STACK_LIMIT, run

SECONDS = 15.0


@pytest.mark.slow
def test_nothing_grows_moves_or_gets_lost(tmp_path: Path) -> None:
    soak = run(tmp_path, SECONDS)
    assert soak.wrong == 0
    assert len(soak.usages) * SESSION >= 400, "Too few inferences for a result."
    first, *others = soak.usages
    assert first is not None and first.stack is not None
    for usage in others:
        assert usage is not None and usage.stack is not None
        assert usage.workspace == first.workspace
        assert usage.stack.most - first.stack.most <= STACK_LIMIT
    grown = soak.resident[-1] - soak.resident[len(soak.resident) // 4]
    assert grown < 256 * 1024
