# SPDX-License-Identifier: Apache-2.0
"""Served board and its tracker."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.conftest import Platform
from tests.support.rpc_peers import ServedBoard, Tracker


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    tracker = Tracker()
    yield tracker
    tracker.stop()


@pytest.fixture
def served(default_platform: Platform, tracker: Tracker) -> Iterator[ServedBoard]:
    served = ServedBoard(default_platform, tracker)
    yield served
    served.end()
