# SPDX-License-Identifier: Apache-2.0
"""API server of a baked platform, driven as TVM drives it, from the archive to a session with a device.

The tests send JSON and bytes of the wire that they encode themselves. The server runs in an interpreter
without packages.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import struct
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest

from runtime.host.system.processes import child_processes
from runtime.host.transports.passed_descriptors import Lent, LentTransport, receive_descriptors
from runtime.host.wire.rpc import RpcClient
from runtime.host.wire.session import Session
from tests.conftest import Platform
from tests.device.wire import INIT, INIT_SERVER, NORMAL, REPLY, RETURN, TERMINATE, frame
from tests.support.api_server import ROOT, SCRIPT, ApiServer

DIGITS = ROOT / "examples" / "digits" / "digits_aot.tar"
FIELDS = {"name", "choices", "default", "type", "required", "optional", "help"}
# tvmc sends every value as a string.
STRINGS = {
    "verbose": "False",
    "project_type": "host_driven",
    "board": "host",
    "warning_as_error": "False",
    "compile_definitions": "ONE=1,TWO",
    "workspace_size_bytes": "65536",
    "optimization": "O2",
    "serial_number": "1234",
}
# (option, value, part of the error message)
BAD_OPTIONS = (
    ("optimization", "O9", "want one of O0, O1, O2, O3, Os"),
    ("warning_as_error", "perhaps", "want bool"),
    ("workspace_size_bytes", "much", "want int"),
    ("board", "hsot", 'Did you mean "host"?'),
    ("projecttype", "standalone", 'Did you mean "project_type"?'),
)
HOST_NONCE = 0x41
ABORTS = """
#include <stdlib.h>
__attribute__((constructor)) static void crash(void) { abort(); }
"""


@pytest.fixture
def own_platform(default_platform: Platform, tmp_path: Path) -> Path:
    """Return a platform that a test may change."""
    return shutil.copytree(default_platform.path, tmp_path / "platform")


@pytest.fixture
def project(default_platform: Platform, tmp_path: Path) -> Path:
    """Return a generated project of the digits model that is not built."""
    return generated(default_platform.path, tmp_path / "project")


def serve(directory: Path, python: str = sys.executable) -> ApiServer:
    return ApiServer(
        directory, python=python, environment={"MICROTVM_CACHE_DIR": os.environ["MICROTVM_CACHE_DIR"]}
    )


def generate_params(project: Path, **options: Any) -> Dict[str, Any]:
    return {
        "model_library_format_path": str(DIGITS),
        "standalone_crt_dir": str(project.parent / "crt"),
        "project_dir": str(project),
        "options": options,
    }


def generated(platform: Path, project: Path, **options: Any) -> Path:
    with serve(platform) as server:
        server.ask("generate_project", **generate_params(project, **options))
    return project


def bare_python(directory: Path) -> Path:
    """Return this interpreter without its packages."""
    launcher = directory / "bare_python"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    launcher.chmod(0o755)
    return launcher


class Link:
    """Device behind an API server, written and read in pieces of the sizes that TVM's session uses."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), 4):
            text = base64.b85encode(data[at : at + 4]).decode()
            assert self._server.ask("write_transport", data=text, timeout_sec=5.0) is None

    def read(self, count: int) -> bytes:
        """Return `count` bytes after removal of the escapes."""
        plain, raw = b"", b""
        while len(plain) < count:
            raw += self._raw(count - len(plain))
            if raw.count(b"\xff") % 2:
                raw += self._raw(1)
            plain = raw.replace(b"\xff\xff", b"\xff")
        return plain

    def receive(self) -> Tuple[int, int, bytes]:
        """Return session id, type and body of the next message."""
        before = b""
        while not before.endswith(b"\xff\xfd"):
            before += self._raw(1)
        (length,) = struct.unpack("<I", self.read(4))
        session, kind = struct.unpack("<HB", self.read(3))
        body = self.read(length - 3)
        self.read(2)
        return session, kind, body

    def shake_hands(self) -> int:
        """Start a session and return its id."""
        self.write(b"\xfe" + frame(struct.pack("<HB", 0, TERMINATE)))
        self.write(frame(struct.pack("<HBB", HOST_NONCE, INIT, 1)))
        assert self.receive() == (0, TERMINATE, b"")  # a device sends this after its reset
        session, kind, version = self.receive()
        assert (kind, version, session & 0xFF) == (REPLY, b"\x01", HOST_NONCE)
        assert session >> 8
        return session

    def call_init_server(self, session: int) -> None:
        """Send the first request of an RPC session and check its reply."""
        request = struct.pack("<iQ5si", INIT_SERVER, 5, b"0.8.0", 0)
        self.write(frame(struct.pack("<HBQ", session, NORMAL, len(request)) + request))
        answered, kind, body = self.receive()
        assert (answered, kind) == (session, NORMAL)
        assert struct.unpack_from("<Qi", body) == (len(body) - 8, RETURN)

    def _raw(self, count: int) -> bytes:
        answer = self._server.ask("read_transport", n=count, timeout_sec=5.0)
        data = base64.b85decode(answer["data"])
        assert len(data) == count
        return data


class TestOnEveryInterpreter:
    def test_from_the_archive_to_a_session(
        self, default_platform: Platform, python: str, tmp_path: Path
    ) -> None:
        with serve(default_platform.path, python) as server:
            info = server.ask("server_info_query", tvm_version="0.18.0")
            assert (info["platform_name"], info["protocol_version"]) == ("make_platform", 1)
            assert (info["is_template"], info["model_library_format_path"]) == (True, "")
            assert all(set(option) == FIELDS for option in info["project_options"])
            defaults = {option["name"]: option["default"] for option in info["project_options"]}
            for name, options in (
                ("defaults", defaults),
                ("nones", dict.fromkeys(defaults)),
                ("strings", STRINGS),
            ):
                params = generate_params(tmp_path / name, **options)
                assert server.ask("generate_project", **params) is None
            server.close_requests()
            assert server.process.wait() == 0
        with serve(tmp_path / "defaults", python) as server:
            info = server.ask("server_info_query", tvm_version="0.18.0")
            assert info["is_template"] is False
            assert Path(info["model_library_format_path"]).read_bytes() == DIGITS.read_bytes()
            for _ in range(2):
                assert server.ask("build", options=defaults) is None
            assert server.ask("flash", options=defaults) is None
            for _ in range(2):
                timeouts = server.ask("open_transport", options=defaults)["timeouts"]
                assert len(timeouts) == 3 and all(seconds > 0 for seconds in timeouts.values())
                link = Link(server)
                link.call_init_server(link.shake_hands())
                server.ask("close_transport")
                assert server.error("read_transport", n=1, timeout_sec=0)["message"] == "TransportClosedError"
            assert child_processes(server.process.pid) == []

    def test_bad_options_are_answered_and_the_next_request_is_served(
        self, default_platform: Platform, python: str, tmp_path: Path
    ) -> None:
        with serve(default_platform.path, python) as server:
            for name, value, words in BAD_OPTIONS:
                error = server.error("generate_project", **generate_params(tmp_path / "p", **{name: value}))
                assert error["code"] == -32000 and words in error["message"]
            assert not (tmp_path / "p").exists()
            server.ask("generate_project", **generate_params(tmp_path / "p"))

    def test_no_device_outlives_the_pipe(self, project: Path, python: str) -> None:
        with serve(project, python) as server:
            server.ask("build", options={})
            server.ask("open_transport", options={})
            Link(server).shake_hands()
            (device,) = child_processes(server.process.pid)
            server.close_requests()
            assert server.process.wait() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(device, 0)


class TestLending:
    """Descriptors of the device, for a client on this machine that reads and writes them directly."""

    @staticmethod
    def borrow(server: ApiServer) -> Lent:
        return receive_descriptors(lambda name: server.ask("lend_transport", socket=name))

    def test_a_session_over_what_was_lent(self, project: Path) -> None:
        with serve(project) as server:
            server.ask("build", options={})
            for _ in range(2):
                server.ask("open_transport", options={})
                transport = LentTransport(self.borrow(server), lambda: None)
                transport.open()
                session = Session(transport)
                session.open()
                assert RpcClient(session).get_function("runtime.SystemLib")
                transport.close()
                server.ask("close_transport")
                assert child_processes(server.process.pid) == []

    def test_nothing_is_lent_that_is_not_open_or_was_read_from(self, project: Path) -> None:
        with serve(project) as server:
            assert server.error("lend_transport", socket="none")["message"] == "TransportClosedError"
            server.ask("build", options={})
            server.ask("open_transport", options={})
            assert "Nobody takes the device" in server.error("lend_transport", socket="none")["message"]
            timed_out = server.error("read_transport", n=1000, timeout_sec=0.5)  # the reset sent bytes
            assert timed_out["message"] == "IoTimeoutError"
            early = server.error("lend_transport", socket="none")["message"]
            assert "want it before the first read" in early


class TestFailures:
    def test_the_first_compiler_error_is_the_message_and_the_log_rides_along(self, project: Path) -> None:
        source = next((project / "model/codegen/host/src").glob("*lib0.c"))
        source.write_text("int first = nonsense;\nint second = more_nonsense;\n" + source.read_text())
        with serve(project) as server:
            error = server.error("build", options={})
            assert error["code"] == -32000
            assert "while compiling the model" in error["message"]
            assert "lib0.c:1:" in error["message"] and "more_nonsense" not in error["message"]
            log = error["data"]["traceback"]
            assert log.startswith("$ ") and "-c model/codegen/host/src" in log and "more_nonsense" in log
            assert "Traceback" not in log
            assert server.ask("server_info_query", tvm_version="0.18.0")["is_template"] is False

    def test_what_comes_before_a_build_is_asked_for(self, project: Path) -> None:
        with serve(project) as server:
            for method in ("flash", "open_transport"):
                error = server.error(method, options={})
                assert "There is no firmware" in error["message"] and "Build" in error["message"]

    def test_a_platform_is_not_built(self, default_platform: Platform) -> None:
        with serve(default_platform.path) as server:
            assert "is a platform, not a generated project" in server.error("build", options={})["message"]

    def test_a_missing_archive_and_an_existing_project_are_named(
        self, default_platform: Platform, project: Path, tmp_path: Path
    ) -> None:
        with serve(default_platform.path) as server:
            params = generate_params(tmp_path / "p")
            params["model_library_format_path"] = "nosuch.tar"
            assert "nosuch.tar" in server.error("generate_project", **params)["message"]
            error = server.error("generate_project", **generate_params(project))
            assert f"{project} exists already" in error["message"]

    def test_a_place_where_nothing_can_be_written(self, default_platform: Platform) -> None:
        with serve(default_platform.path) as server:
            error = server.error("generate_project", **generate_params(Path("/dev/null/project")))
            assert error["message"].startswith("/dev/null: ")
            assert "\nCheck the path and its read and write permissions" in error["message"]
            assert error["data"] is None

    def test_a_broken_boards_json_is_an_answer(self, own_platform: Path) -> None:
        (own_platform / "boards.json").write_text("{")
        with serve(own_platform) as server:
            message = server.error("server_info_query", tvm_version="0.18.0")["message"]
            assert "boards.json is not JSON" in message

    def test_a_device_that_dies_when_it_starts_is_not_opened(self, project: Path) -> None:
        config = project / "src" / "model_config.c"
        config.write_text(config.read_text() + ABORTS)
        with serve(project) as server:
            server.ask("build", options={})
            assert "was ended by SIGABRT.\n" in server.error("open_transport", options={})["message"]
            error = server.error("read_transport", n=1, timeout_sec=60.0)
            assert error["message"] == "TransportClosedError"

    def test_a_device_that_dies_later_is_noticed_at_once(self, project: Path) -> None:
        with serve(project) as server:
            server.ask("build", options={})
            server.ask("open_transport", options={})
            (device,) = child_processes(server.process.pid)
            os.kill(device, signal.SIGABRT)
            error = server.error("read_transport", n=1000, timeout_sec=60.0)
            assert error["message"] == "TransportClosedError"
            assert "SIGABRT" in error["data"]["traceback"]

    def test_a_standalone_input_without_numpy_says_what_to_install(
        self, default_platform: Platform, tmp_path: Path
    ) -> None:
        options = {"project_type": "standalone", "standalone_input": "input.npy"}
        with serve(default_platform.path, str(bare_python(tmp_path))) as server:
            error = server.error("generate_project", **generate_params(tmp_path / "p", **options))
        assert "numpy is not installed" in error["message"] and "pip install numpy" in error["message"]


class TestFlashCommand:
    @pytest.fixture
    def flashing(self, own_platform: Path, tmp_path: Path) -> Iterator[Tuple[ApiServer, Path]]:
        """Yield the server of a built project with a flash command, and the file that this command writes.

        The flash command fails if the serial number is "broken".
        """
        note = tmp_path / "flashed"
        command = ["sh", "-c", f'echo "$0 $1" > {note}; echo no answer; test "$1" != broken || exit 3']
        server_file = own_platform / SCRIPT
        text = server_file.read_text()
        assert "flash_command=None" in text
        argv = [*command, "{firmware}", "{serial_number}"]
        server_file.write_text(text.replace("flash_command=None", f"flash_command={{'host': {argv!r}}}"))
        project = generated(own_platform, tmp_path / "project")
        with serve(project) as server:
            server.ask("build", options={})
            yield server, note

    def test_it_is_run_with_its_fields_filled_in(
        self, flashing: Tuple[ApiServer, Path], tmp_path: Path
    ) -> None:
        server, note = flashing
        server.ask("flash", options={"serial_number": "E0-1"})
        assert note.read_text() == f"{tmp_path / 'project' / 'build' / 'firmware'} E0-1\n"

    def test_its_failure_has_exit_code_command_and_log(self, flashing: Tuple[ApiServer, Path]) -> None:
        server, _note = flashing
        error = server.error("flash", options={"serial_number": "broken"})
        assert "exit code 3: sh -c" in error["message"] and "broken" in error["message"]
        assert "no answer" in error["data"]["traceback"]
