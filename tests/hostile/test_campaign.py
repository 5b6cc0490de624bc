# SPDX-License-Identifier: Apache-2.0
"""Sample of the campaign of mutated input; `python -m tests.hostile.campaign` runs all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Platform
from tests.hostile import campaign

SEED = 7
COUNTS = {"requests": 1000, "archives": 40, "boards": 400, "connections": 25}


@pytest.mark.slow
@pytest.mark.parametrize("kind", COUNTS)
def test_a_sample_is_taken_or_refused_with_a_sentence(
    default_platform: Platform, tmp_path: Path, kind: str
) -> None:
    tally = campaign.run(kind, COUNTS[kind], SEED, default_platform, tmp_path / "scratch")
    assert tally.failures == []
    assert sum(tally.outcomes.values()) >= COUNTS[kind]
