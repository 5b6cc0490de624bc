# SPDX-License-Identifier: Apache-2.0
"""Whole conversations with the API server as a process, on every interpreter that TVM's users may have."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from tests.support.api_server import ApiServer, make_platform
from tools.interpreters import SUPPORTED, find_python

SIXTEEN_MIB = 16 * 1024 * 1024

BAD_LINES = [
    (b"hello\n", -32700),
    (b"\n", -32700),
    (b"\xff\xfe\n", -32700),
    (b"[" * 200_000 + b"\n", -32700),
    (b"x" * SIXTEEN_MIB + b"\n", -32700),
    (b"[]\n", -32600),
    (b'{"jsonrpc": "1.0", "method": "build", "params": {"options": {}}}\n', -32600),
    (b'{"jsonrpc": "2.0", "method": 5, "params": {}}\n', -32600),
    (b'{"jsonrpc": "2.0", "method": "biuld", "params": {}}\n', -32601),
    (b'{"jsonrpc": "2.0", "method": "build", "params": {}}\n', -32602),
    (b'{"jsonrpc": "2.0", "method": "build", "params": {"options": {}, "x": 1}}\n', -32602),
    (b'{"jsonrpc": "2.0", "method": "build", "params": {"options": 1}}\n', -32602),
]


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    return make_platform(tmp_path / "platform", "loopback.py")


@pytest.fixture
def server(platform: Path) -> Iterator[ApiServer]:
    with ApiServer(platform) as running:
        yield running


def test_continuous_integration_has_the_interpreters() -> None:
    found = [version for version in SUPPORTED if find_python(version)]
    if "CI" not in os.environ:
        pytest.skip("required only if CI is set in the environment")
    assert len(found) >= 3, (
        f"Expected three of CPython {', '.join(SUPPORTED)}, got {', '.join(found) or 'none'}"
    )


class TestOnEveryInterpreter:
    def test_a_conversation(self, platform: Path, python: str, tmp_path: Path) -> None:
        data = bytes(range(256)) * 300
        text = base64.b85encode(data).decode()
        with ApiServer(platform, python=python) as server:
            info = server.ask("server_info_query", tvm_version="0.18.0")
            assert (info["platform_name"], info["protocol_version"]) == ("loopback", 1)
            assert all(len(option) == 7 for option in info["project_options"])
            options = {"verbose": "1", "project_type": "host_driven"}
            paths = {"model_library_format_path": "m.tar", "standalone_crt_dir": "crt"}
            server.ask("generate_project", project_dir=str(tmp_path / "out"), options=options, **paths)
            assert "('verbose', True)" in (tmp_path / "out" / "options.txt").read_text()
            server.ask("build", options={"verbose": None, "board": None})
            assert server.ask("open_transport", options={"board": "cat"})["timeouts"] == {
                "session_start_retry_timeout_sec": 1.0,
                "session_start_timeout_sec": 2.0,
                "session_established_timeout_sec": 3.0,
            }
            # cat blocks when both pipes are full, so that the test alternates writes and reads.
            for at in range(0, len(text), 40_000):
                piece = text[at : at + 40_000]
                server.ask("write_transport", data=piece, timeout_sec=5.0)
                assert server.ask("read_transport", n=len(piece) * 4 // 5, timeout_sec=5.0) == {"data": piece}
            assert server.error("read_transport", n=1, timeout_sec=0)["message"] == "IoTimeoutError"
            server.ask("close_transport")
            server.ask("close_transport")
            assert server.error("read_transport", n=1, timeout_sec=None)["message"] == "TransportClosedError"
            server.close_requests()
            assert server.process.wait() == 0

    def test_it_serves_on_after_every_bad_request(self, platform: Path, python: str) -> None:
        with ApiServer(platform, python=python) as server:
            for line, code in BAD_LINES:
                server.send(line)
                reply = server.reply()
                assert (reply["error"]["code"], reply["id"]) == (code, None), reply
            assert server.ask("server_info_query", tvm_version="a" * SIXTEEN_MIB)["is_template"] is True

    def test_base85_is_that_of_the_standard_library(self, platform: Path, python: str) -> None:
        program = (
            "import base64, os\n"
            "from runtime import server\n"
            "for size in list(range(70)) + [8191, 8192, 8193, 65536]:\n"
            "    for data in (os.urandom(size), bytes(size), b'\\xff' * size):\n"
            "        text = base64.b85encode(data)\n"
            "        assert server.b85encode(data) == text and server.b85decode(text) == data, size\n"
        )
        subprocess.run([python, "-W", "error", "-c", program], cwd=platform, check=True)


class TestErrors:
    def test_an_exception_in_a_handler_says_method_type_and_text(self, server: ApiServer) -> None:
        error = server.error("build", options={"verbose": "yes"})
        assert error["message"] == "build failed: ValueError: the compiler is missing"
        assert "microtvm_api_server.py" in error["data"]["traceback"]

    def test_a_tool_that_fails_is_named(self, server: ApiServer) -> None:
        assert "exit 3" in server.error("flash", options={})["message"]

    def test_a_misspelt_option_gets_a_suggestion(self, server: ApiServer) -> None:
        error = server.error("build", options={"bord": "cat"})
        assert error["message"] == 'no project option is called "bord".\nDid you mean "board"?'

    def test_a_version_of_tvm_that_is_not_supported(self, server: ApiServer) -> None:
        error = server.error("server_info_query", tvm_version="0.1")
        assert (error["code"], error["message"]) == (-32000, "UnsupportedTVMVersionError")

    def test_a_device_that_died_is_noticed_at_once(self, server: ApiServer) -> None:
        server.ask("open_transport", options={})
        server.ask("write_transport", data=base64.b85encode(b"die").decode(), timeout_sec=1.0)
        assert server.error("read_transport", n=1, timeout_sec=3600)["message"] == "TransportClosedError"

    def test_a_read_that_timed_out_loses_nothing(self, server: ApiServer) -> None:
        server.ask("open_transport", options={})
        server.ask("write_transport", data=base64.b85encode(b"abc").decode(), timeout_sec=1.0)
        assert server.error("read_transport", n=4, timeout_sec=0.2)["message"] == "IoTimeoutError"
        server.ask("write_transport", data=base64.b85encode(b"d").decode(), timeout_sec=1.0)
        assert base64.b85decode(server.ask("read_transport", n=4, timeout_sec=5.0)["data"]) == b"abcd"


class TestStarting:
    def test_with_the_scripts_name_before_the_descriptors(self, platform: Path) -> None:
        with ApiServer(platform, extra=["microtvm_api_server.py"]) as server:
            assert server.ask("server_info_query", tvm_version="0.18.0")["is_template"] is True

    def test_main_takes_the_arguments_it_is_given(self, platform: Path) -> None:
        with ApiServer(platform, extra=["--own-argv"]) as server:
            assert server.ask("server_info_query", tvm_version="0.18.0")["is_template"] is True

    def test_stdout_belongs_to_the_user(self, platform: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with ApiServer(platform) as server:
            server.ask("build", options={})
        assert capfd.readouterr().out == "building; this goes to the user\n"

    def test_debug_shows_requests_and_replies_on_stderr(
        self, platform: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with ApiServer(platform, extra=["--debug"]) as server:
            server.ask("close_transport")
        shown = capfd.readouterr().err
        assert '"method": "close_transport"' in shown
        assert '"result":null' in shown

    def test_quiet_without_debug(self, platform: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with ApiServer(platform) as server:
            server.ask("close_transport")
            server.error("flash", options={})
        assert capfd.readouterr() == ("", "")

    def test_without_descriptors_it_says_who_starts_it(self, platform: Path, python: str) -> None:
        ended = subprocess.run(
            [python, "microtvm_api_server.py"], cwd=platform, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 2
        assert "this program is started by TVM or by the host tools" in ended.stderr

    def test_what_a_start_imports(self, platform: Path) -> None:
        """Check that a start does not import modules that only some requests need; imports take time."""
        program = "import sys; from runtime import server; print(*sys.modules)"
        ended = subprocess.run(
            [
                shutil.which("python3") or "python3",
                "-I",
                "-S",
                "-c",
                f"import sys; sys.path[:0] = ['.']; {program}",
            ],
            cwd=platform,
            capture_output=True,
            text=True,
            check=True,
        )
        slow = {"argparse", "typing", "logging", "inspect", "pathlib", "subprocess", "threading", "traceback"}
        slow |= {"difflib", "base64", "select", "signal", "dataclasses"}
        assert not slow & set(ended.stdout.split())
