# SPDX-License-Identifier: Apache-2.0
"""Served boards that are not processes: at a serial port, and flashed by a tool that may fail."""

from __future__ import annotations

import json
import shutil
import socketserver
import sys
import threading
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from runtime.host.errors import DeviceError
from runtime.host.system.locks import port_lock
from tests.conftest import Baker, Platform
from tests.support.faults import Fault, FaultyBoard
from tests.support.rpc_peers import MODEL, SYSTEM_LIB, Client, ServedBoard, Tracker, session_of

pytestmark = pytest.mark.slow

# Sends a request to the probe, prints the reply, and ignores SIGTERM.
FLASH_TOOL = """
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
probe = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
probe.sendall(sys.argv[2].encode() + b"\\n")
said = probe.makefile().readline()
print(said)
sys.exit(said != "verified\\n")
"""
LOCKED = "Error: the target's flash is locked"
NO_PROBE = """#!/bin/sh
echo 'Error: open failed' >&2
exit 1
"""


class Probe:
    """Peer of the flash tool, which puts the firmware on a board at a serial port.

    The reply after flashing is "verified", another string for a failure, or None for a hang. Each tool that
    connects sets the event `asked`.
    """

    def __init__(self, directory: Path) -> None:
        self.says: object = "verified"
        self.asked = threading.Event()
        self._flash = directory / "flash memory"
        shutil.copy("/bin/cat", self._flash)  # a board that was never flashed sends garbage
        self.board = FaultyBoard(self._flash, directory)
        probe = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                firmware = Path(self.rfile.readline().decode().rstrip("\n"))
                probe.asked.set()
                if probe.says is None:
                    self.rfile.readline()  # until the tool has exited
                    return
                if probe.says == "verified":
                    probe._put(firmware)
                self.wfile.write(f"{probe.says}\n".encode())

        self._listener = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def flash_command(self) -> Tuple[str, ...]:
        program = FLASH_TOOL.replace("{", "{{").replace("}", "}}")
        return (sys.executable, "-S", "-c", program, str(self._listener.server_address[1]), "{firmware}")

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self.board.close()

    def _put(self, firmware: Path) -> None:
        new = self._flash.with_suffix(".new")
        shutil.copy(firmware, new)
        new.replace(self._flash)
        self.board.restart()


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    probe = Probe(tmp_path)
    yield probe
    probe.close()


@pytest.fixture
def served(bake: Baker, probe: Probe, tracker: Tracker) -> Iterator[ServedBoard]:
    """Yield a served board at a serial port, flashed by the owner's command."""
    served = ServedBoard(with_a_port(bake(), probe), tracker, "--port", str(probe.board.port))
    yield served
    served.end()


def with_a_port(platform: Platform, probe: Probe) -> Platform:
    """Move the platform's boards to a serial port, and return the platform."""
    boards = json.loads(platform.text("boards.json"))
    for entry in boards["boards"].values():
        entry["transport"] = "serial"
    (platform.path / "boards.json").write_text(json.dumps(boards))
    text = platform.text("microtvm_api_server.py")
    declared = text.replace("flash_command=None", f"flash_command={probe.flash_command!r}")
    assert declared != text
    (platform.path / "microtvm_api_server.py").write_text(declared)
    return platform


def failure(client: Client) -> str:
    """Return the error in the reply to the client's first request."""
    with pytest.raises(DeviceError) as error:
        client.finds(SYSTEM_LIB)
    return str(error.value)


class TestSerialBoard:
    def test_sessions_follow_one_another(self, served: ServedBoard, probe: Probe) -> None:
        assert served.works()
        assert served.works()
        served.tracker.next_offer()
        with port_lock(str(probe.board.port)):
            pass
        assert "run " in served.end()

    def test_a_board_that_is_unplugged(self, served: ServedBoard, probe: Probe) -> None:
        client = served.session(*session_of(MODEL))
        assert client.finds(SYSTEM_LIB)
        probe.board.set_faults([Fault("unplugged", to_device=True, offset=0, amount=0)])
        told = failure(client)
        assert "TransportClosedError: " in told and "is gone: the board was unplugged" in told
        assert "There is no port" in failure(served.session(*session_of(MODEL)))
        probe.board.set_faults([])
        assert served.works()


class TestFlash:
    def test_a_tool_that_fails(self, served: ServedBoard, probe: Probe) -> None:
        probe.says = LOCKED
        told = failure(served.session(*session_of(MODEL)))
        assert "FlashError: The flash command ended with exit code 1: " in told and LOCKED in told
        probe.says = "verified"
        assert served.works()

    def test_a_tool_that_hangs(self, served: ServedBoard, probe: Probe) -> None:
        assert served.works()
        probe.asked.clear()
        probe.says = None
        client = served.session(*session_of(MODEL), options=" -timeout=4")
        assert "RPCSessionTimeoutError: The 4 s of this session ended while flashing the board" in failure(
            client
        )
        assert probe.asked.is_set()
        offer = served.tracker.next_offer()
        assert not served.below()
        probe.says = "verified"
        assert Client(offer, *session_of(MODEL)).finds(SYSTEM_LIB)

    def test_the_flash_tool_of_the_board_fails(self, bake: Baker, tracker: Tracker, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "openocd").write_text(NO_PROBE)
        (tools / "openocd").chmod(0o755)
        served = ServedBoard(
            bake(board_family="cortex_m"), tracker, "--board", "nucleo_f446re", tools=str(tools)
        )
        try:
            for _ in range(2):
                told = failure(served.session(*session_of(MODEL)))
                assert "FlashError: " in told and "Error: open failed" in told
        finally:
            served.end()
