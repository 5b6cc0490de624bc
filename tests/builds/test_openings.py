# SPDX-License-Identifier: Apache-2.0
"""First packet after open_transport: the client never has to send it again."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import pytest

from benchmarks.openings import open_often, projects

pytestmark = pytest.mark.slow

OPENINGS = 10

BOARDS: Tuple[str, ...] = ("host", "netduino2", "netduinoplus2", "qemu_virt_rv32", "qemu_virt_rv64")
"""The host board, and emulated boards whose UART drops bytes that arrive before its initialization."""


def test_the_first_packet_is_never_lost(tmp_path: Path) -> None:
    attempts = {
        board: [opening.attempts for opening in open_often(project, OPENINGS)]
        for board, project in projects(tmp_path, *BOARDS)
    }
    assert attempts == {board: [1] * OPENINGS for board in BOARDS}
