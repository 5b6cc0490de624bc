# SPDX-License-Identifier: Apache-2.0
"""API server and TVM: a handler for TVM's module on this server, and TVM's client with this server.

MICROTVM_TVM_PROJECT_API names the folder of TVM's client.py and server.py, which are loaded without tvm.
"""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any, Iterator

import pytest

from benchmarks.requests import TVM_FOLDER, load_tvm
from tests.support.api_server import ROOT, SCRIPT, ApiServer, make_platform

OUR_MODULE = ROOT / "runtime" / "server.py"


def tvm_folder() -> Path:
    folder = os.environ.get(TVM_FOLDER)
    if not folder:
        pytest.skip(f"{TVM_FOLDER} does not name the folder of TVM's client.py and server.py")
    return Path(folder)


@pytest.fixture(params=["ours", "TVM's"])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a platform written for TVM's module, with either server module in the place of TVM's.

    The handler also runs on TVM's module, which shows that it is a valid handler for TVM.
    """
    module = OUR_MODULE if request.param == "ours" else tvm_folder() / "server.py"
    package = tmp_path / "tvm" / "micro" / "project_api"
    package.mkdir(parents=True)
    for folder in (package, *package.parents[:2]):
        (folder / "__init__.py").touch()  # a package without it yields to an installed TVM
    shutil.copy(module, package / "server.py")
    shutil.copy(ROOT / "tests" / "api" / "handlers" / "for_tvm.py", tmp_path / SCRIPT)
    return tmp_path


@pytest.fixture
def server(platform: Path) -> Iterator[ApiServer]:
    with ApiServer(platform) as running:
        yield running


class TestHandlerForTvm:
    def test_tells_its_options(self, server: ApiServer) -> None:
        info = server.ask("server_info_query", tvm_version="0.18.0")
        assert (info["platform_name"], info["is_template"]) == ("for_tvm", True)
        assert (info["model_library_format_path"], info["protocol_version"]) == ("", 1)
        options = {option["name"]: option for option in info["project_options"]}
        assert options["board"]["choices"] == ["cat"]
        assert options["verbose"]["optional"] == ["build"]
        assert options["speed"]["required"] == ["flash"]
        assert all(len(option) == 7 for option in options.values())

    def test_generates_a_project(self, server: ApiServer, tmp_path: Path) -> None:
        server.ask(
            "generate_project",
            model_library_format_path="a/model.tar",
            standalone_crt_dir="b/crt",
            project_dir=str(tmp_path / "project"),
            options={"board": "cat"},
        )
        assert (tmp_path / "project" / "origin").read_text() == "model.tar crt"

    def test_talks_to_its_device(self, server: ApiServer) -> None:
        server.ask("open_transport", options={"port": "/dev/ttyACM0", "board": "cat"})
        text = base64.b85encode(b"\xff\xfeab").decode()
        server.ask("write_transport", data=text, timeout_sec=5.0)
        assert server.ask("read_transport", n=4, timeout_sec=5.0) == {"data": text}
        server.ask("close_transport")
        assert server.error("read_transport", n=1, timeout_sec=1.0)["message"] == "TransportClosedError"

    def test_its_errors_reach_the_client(self, server: ApiServer) -> None:
        built = server.error("build", options={})
        assert (built["code"], built["message"]) == (-32000, "the build failed")
        assert "CalledProcessError" in built["data"]["traceback"]
        flashed = server.error("flash", options={"speed": "9600"})
        assert (flashed["code"], flashed["message"]) == (-32000, "NoSuchBoard")
        assert flashed["data"]["boards"] == []

    def test_its_log_is_shown_on_stderr(self, platform: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with ApiServer(platform) as server:
            server.ask("server_info_query", tvm_version="0.18.0")
        assert "queried by 0.18.0" in capfd.readouterr().err

    def test_a_json_rpc_error_keeps_its_code(self, server: ApiServer) -> None:
        error = server.error("flash", options={"speed": "0"})
        assert (error["code"], error["message"]) == (-32602, "speed: want more than 0")


@pytest.fixture(params=["beside its own server module", "beside ours"])
def tvm_client(request: pytest.FixtureRequest, tmp_path: Path) -> ModuleType:
    """Return TVM's client module. It imports error classes from the server module in its folder."""
    folder = tvm_folder()
    if request.param == "beside ours":
        shutil.copy(folder / "client.py", tmp_path / "client.py")
        shutil.copy(OUR_MODULE, tmp_path / "server.py")
        folder = tmp_path
    return load_tvm(folder)


class TestClientOfTvm:
    @pytest.fixture
    def client(self, tvm_client: ModuleType, tmp_path: Path) -> Iterator[Any]:
        client = tvm_client.instantiate_from_dir(make_platform(tmp_path / "platform", "loopback.py"))
        yield client
        client.shutdown()

    def test_a_conversation(self, client: Any) -> None:
        assert client.server_info_query("0.16.dev0")["platform_name"] == "loopback"
        client.build({"verbose": False, "board": None})
        client.open_transport({"board": "cat"})
        data = bytes(range(256)) * 200
        client.write_transport(data, 5.0)
        assert client.read_transport(len(data), 5.0)["data"] == data
        client.close_transport()

    def test_it_knows_the_errors_by_name(self, client: Any, tvm_client: ModuleType) -> None:
        with pytest.raises(tvm_client.server.TransportClosedError):
            client.read_transport(1, 1.0)
        client.open_transport({})
        with pytest.raises(tvm_client.server.IoTimeoutError):
            client.read_transport(1, 0.0)
        with pytest.raises(tvm_client.server.UnsupportedTVMVersionError):
            client.server_info_query("0.1")

    def test_it_shows_what_a_handler_raised(self, client: Any, tvm_client: ModuleType) -> None:
        with pytest.raises(tvm_client.server.ServerError) as caught:
            client.build({"verbose": "true"})
        shown = str(caught.value)
        assert shown.startswith(
            "calling method build: JSON-RPC error # -32000: "
            "build failed: ValueError: the compiler is missing\n"
        )
        assert "microtvm_api_server.py" in shown

    def test_it_shows_a_suggestion(self, client: Any, tvm_client: ModuleType) -> None:
        with pytest.raises(tvm_client.server.JSONRPCError, match='Did you mean "verbose"'):
            client.build({"verbos": "true"})
