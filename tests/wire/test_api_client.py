# SPDX-License-Identifier: Apache-2.0
"""Client of the Project API, with a real API server and a handler written for the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Iterator

import pytest

from runtime.host.errors import (
    ArchiveError,
    BuildError,
    FlashError,
    PlatformError,
    ProtocolError,
    TransportClosed,
    TransportTimeout,
)
from runtime.host.wire.api_client import ApiTransport, ProjectApiClient
from runtime.host.wire.session import Timeouts

ROOT = Path(__file__).resolve().parents[2]

SERVER = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from runtime import server
from runtime.host.errors import BuildError

class Handler(server.ProjectAPIHandler):
    pending = None

    def server_info_query(self, tvm_version):
        if tvm_version == "0.1":
            raise server.UnsupportedTVMVersionError()
        return server.ServerInfo(
            platform_name="test", is_template=True, model_library_format_path="",
            project_options=[server.ProjectOption("how", optional=["build"], type="str", help="how")],
        )

    def generate_project(self, model_library_format_path, standalone_crt_dir, project_dir, options):
        print(model_library_format_path, project_dir, standalone_crt_dir, options, file=sys.stderr)
        raise server.ServerError("no such archive")

    def build(self, options):
        if options.get("how") == "explained":
            raise BuildError("The compiler failed.", "Read the log.", "error: ';' expected")
        if options.get("how") == "plain":
            raise ValueError("oops")
        if options.get("how") == "exit":
            os._exit(7)

    def flash(self, options):
        raise server.ServerError("no probe found")

    def open_transport(self, options):
        self.pending = bytearray()
        return server.TransportTimeouts(
            session_start_retry_timeout_sec=1.0, session_start_timeout_sec=2.5,
            session_established_timeout_sec=0)

    def close_transport(self):
        self.pending = None

    def read_transport(self, n, timeout_sec):
        if self.pending is None:
            raise server.TransportClosedError()
        if len(self.pending) < n:
            raise server.IoTimeoutError()
        data, self.pending = self.pending[:n], self.pending[n:]
        return bytes(data)

    def write_transport(self, data, timeout_sec):
        if self.pending is None:
            raise server.TransportClosedError()
        if timeout_sec == 0:
            raise server.IoTimeoutError()
        self.pending += data

if __name__ == "__main__":
    server.main(Handler())
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("platform")
    (path / "microtvm_api_server.py").write_text(SERVER, encoding="utf-8")
    return path


@pytest.fixture
def client(directory: Path) -> Iterator[ProjectApiClient]:
    with ProjectApiClient(directory) as client:
        yield client


def test_server_info(client: ProjectApiClient) -> None:
    info = client.server_info_query()
    assert (info["platform_name"], info["is_template"]) == ("test", True)
    assert info["project_options"][0]["name"] == "how"


def test_an_unsupported_version(client: ProjectApiClient) -> None:
    with pytest.raises(PlatformError, match="server_info_query"):
        client.server_info_query("0.1")


class TestErrors:
    def test_an_explained_failure_keeps_its_parts(self, client: ProjectApiClient) -> None:
        with pytest.raises(BuildError) as caught:
            client.build({"how": "explained"})
        error = caught.value
        assert (error.what, error.next_step) == ("The compiler failed.", "Read the log.")
        assert "';' expected" in error.log

    def test_any_other_failure_brings_its_traceback_as_log(self, client: ProjectApiClient) -> None:
        with pytest.raises(BuildError, match="oops") as caught:
            client.build({"how": "plain"})
        assert "ValueError" in caught.value.log

    def test_errors_are_of_the_kind_of_their_method(self, client: ProjectApiClient) -> None:
        with pytest.raises(ArchiveError, match="no such archive"):
            client.generate_project("model.tar", "project", {"a": 1})
        with pytest.raises(FlashError, match="no probe found"):
            client.flash()

    def test_paths_are_made_absolute(
        self,
        directory: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with ProjectApiClient(directory) as client, pytest.raises(ArchiveError):
            client.generate_project("model.tar", Path("project"), {"a": 1})
        assert f"{tmp_path}/model.tar {tmp_path}/project" in capfd.readouterr().err

    def test_the_server_serves_on_after_a_failure(self, client: ProjectApiClient) -> None:
        with pytest.raises(FlashError):
            client.flash({})
        client.build({})

    def test_an_unknown_method(self, client: ProjectApiClient) -> None:
        with pytest.raises(PlatformError, match="no_such_method"):
            client.call("no_such_method", {})

    def test_a_server_that_ends_says_how(self, client: ProjectApiClient) -> None:
        with pytest.raises(TransportClosed, match="ended with exit status 7"):
            client.build({"how": "exit"})
        with pytest.raises(TransportClosed, match="ended with exit status 7"):
            client.build({})

    def test_a_directory_that_is_no_platform(self, tmp_path: Path) -> None:
        with pytest.raises(PlatformError, match=r"it has no microtvm_api_server\.py"):
            ProjectApiClient(tmp_path)

    def test_an_interpreter_that_is_not_there(self, directory: Path) -> None:
        with pytest.raises(PlatformError, match="cannot be started"):
            ProjectApiClient(directory, python="no/such/python")

    def test_use_after_close(self, directory: Path) -> None:
        client = ProjectApiClient(directory)
        client.close()
        client.close()
        with pytest.raises(TransportClosed, match="was closed"):
            client.build({})

    @pytest.mark.parametrize("reply", ["not JSON", "[]", '{"id": 7, "result": null}', '{"id": 1}'])
    def test_a_reply_that_is_none(self, tmp_path: Path, reply: str) -> None:
        line = reply.encode() + b"\n"
        program = f"import os, sys\nos.write(int(sys.argv[4]), {line!r})\nos.read(int(sys.argv[2]), 99)"
        (tmp_path / "microtvm_api_server.py").write_text(program, encoding="utf-8")
        with ProjectApiClient(tmp_path) as client, pytest.raises(ProtocolError, match="what is no reply"):
            client.build({})


class TestTransport:
    def test_timeouts_are_the_projects(self, client: ProjectApiClient) -> None:
        transport = ApiTransport(client, {})
        transport.open()
        assert transport.timeouts == Timeouts(1.0, 2.5, 0)
        transport.close()
        transport.close()

    @pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 127, 4096, 65537])
    def test_bytes_there_and_back(self, client: ProjectApiClient, size: int) -> None:
        data = os.urandom(size)
        client.open_transport({})
        client.write_transport(data, None)
        assert client.read_transport(size, 1.5) == data

    def test_reads_ask_for_exactly_what_is_wanted(self, client: ProjectApiClient) -> None:
        transport = ApiTransport(client)
        transport.open()
        transport.write(b"abcdef", 1)
        assert transport.read(4, 0) == b"abcd"
        assert transport.read(2, None) == b"ef"

    def test_timeouts_and_closed_transports(self, client: ProjectApiClient) -> None:
        transport = ApiTransport(client)
        with pytest.raises(TransportClosed):
            transport.read(1, None)
        with pytest.raises(TransportClosed):
            transport.write(b"x", None)
        transport.open()
        with pytest.raises(TransportTimeout):
            transport.read(1, 0.01)
        with pytest.raises(TransportTimeout):
            transport.write(b"x", 0)

    def test_close_after_the_server_has_ended(self, client: ProjectApiClient) -> None:
        transport = ApiTransport(client)
        transport.open()
        with pytest.raises(TransportClosed):
            client.build({"how": "exit"})
        transport.close()


@pytest.mark.skipif(os.name != "posix", reason="a launch script is a shell script")
def test_a_launch_script_chooses_the_interpreter(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "microtvm_api_server.py").write_text(SERVER, encoding="utf-8")
    launcher = tmp_path / "launch_microtvm_api_server.sh"
    launcher.write_text(f'#!/bin/sh\necho "$1" > launched\nexec {sys.executable} "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    with ProjectApiClient(tmp_path, python="no/such/python") as client:
        assert client.server_info_query()["platform_name"] == "test"
    assert (tmp_path / "launched").read_text(encoding="utf-8") == "microtvm_api_server.py\n"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to count open files")
def test_no_file_is_left_open(directory: Path) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (one entry is the scan's own)

    before = open_files()
    ProjectApiClient(directory).close()
    with pytest.raises(PlatformError):
        ProjectApiClient(directory, python="no/such/python")
    assert open_files() == before
