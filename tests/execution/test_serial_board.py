# SPDX-License-Identifier: Apache-2.0
"""Platform whose board is at a serial port: the command line, and the API server as TVM uses it."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from runtime.host.errors import PlatformError
from runtime.host.wire.api_client import ProjectApiClient
from tests.conftest import Baker
from tests.support.faults import FaultyBoard

ARCHIVE = Path(__file__).resolve().parents[1] / "data" / "archives" / "aot_c.tar"

Attached = Tuple[Path, FaultyBoard]


@pytest.fixture(scope="module")
def attached(tmp_path_factory: pytest.TempPathFactory, bake_shared: Baker) -> Iterator[Attached]:
    """Yield a project, and its firmware on a board at a serial port."""
    directory = tmp_path_factory.mktemp("serial")
    platform = bake_shared().path
    boards = json.loads((platform / "boards.json").read_text())
    for entry in boards["boards"].values():
        entry["transport"] = "serial"
    (platform / "boards.json").write_text(json.dumps(boards))
    project = directory / "project"
    built = command(platform, "build", str(ARCHIVE), "--project-dir", str(project))
    assert built.returncode == 0, built.stderr
    (firmware,) = (project / "build").glob("firmware.elf")
    with FaultyBoard(firmware, directory) as board:
        yield project, board


def command(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime.host", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
class TestSerialBoard:
    def test_run_again_and_again(self, attached: Attached) -> None:
        project, board = attached
        results = [command(project, "run", "--port", str(board.port)) for _ in range(2)]
        assert [result.returncode for result in results] == [0, 0], results[0].stderr
        assert results[0].stdout == results[1].stdout
        assert "output 0: " in results[0].stdout

    def test_the_second_process_is_told_who_has_the_board(self, attached: Attached) -> None:
        project, board = attached
        words = ["-m", "runtime.host", "monitor", "--port", str(board.port), "--seconds", "20"]
        with subprocess.Popen([sys.executable, *words], cwd=project, stdout=subprocess.PIPE) as monitor:
            assert monitor.stdout is not None
            heard = select.poll()
            heard.register(monitor.stdout, select.POLLIN)
            while not heard.poll(100):
                board.restart()  # the start message shows that the monitor reads
            refused = command(project, "run", "--port", str(board.port))
            monitor.terminate()
        assert refused.returncode == 1
        assert f"is in use by process {monitor.pid}: " in refused.stderr
        assert "runtime.host monitor --port" in refused.stderr
        assert command(project, "run", "--port", str(board.port)).returncode == 0

    def test_the_api_server_opens_the_port_that_is_named(self, attached: Attached) -> None:
        project, board = attached
        with ProjectApiClient(project) as server:
            server.open_transport({"port": str(board.port)})
            server.close_transport()
            with pytest.raises(PlatformError, match="There is no port /dev/no-such-port"):
                server.open_transport({"port": "/dev/no-such-port"})
