# SPDX-License-Identifier: Apache-2.0
"""Hostile input at every public entry: refused quickly with an error message, and without leftovers."""

from __future__ import annotations

import errno
import importlib.util
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import termios
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from cookiecutter.exceptions import FailedHookException
from rich.text import Text

from runtime import server
from runtime.host.archive import model_archive as archive_module
from runtime.host.archive import tensor_files
from runtime.host.archive.graph import parse_graph
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.boards.board import RegisterWrite
from runtime.host.boards.table import choose_board, load_boards
from runtime.host.commands.console import PLAIN, Terminal
from runtime.host.dtype import DType, check_tensor
from runtime.host.errors import ArchiveError, BoardError, HostToolsFault, PlatformError, explained
from runtime.host.project import board_support, standalone_sources
from runtime.host.project.extra_files import ExtraFiles
from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform as HostPlatform
from runtime.host.project.platform import load_platform
from runtime.host.project.project import load_project
from runtime.host.project.standalone_sources import MAX_INPUT_BYTES
from runtime.host.system.locks import exclusive
from runtime.host.system.regular_files import NotRegular, read_bytes
from runtime.host.transports import serial as serial_module
from runtime.host.transports.pipe import PipeTransport
from tests.conftest import TEMPLATE, Baker, Platform
from tests.support.api_server import SCRIPT, ApiServer
from tests.support.archives import GRAPH, archive_bytes, full_model, module_metadata

ARCHIVES = Path(__file__).resolve().parents[1] / "data" / "archives"
SMALL = ARCHIVES / "aot_c.tar"
SOON_SEC = 10.0
FAMILIES = TEMPLATE / "{{cookiecutter.platform_slug}}" / "families"
MEMORY_BYTES = 1 << 30  # limit of a command's address space


SYSTEM_LIBRARY = {"codegen/host/src/default_lib0.c": "/* TVMSystemLibEntryPoint */\n"}


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def command(directory: Path, *arguments: str, limited: bool = False, **environment: str) -> Tuple[int, str]:
    """Run a command in a platform or project; return its exit status and all output."""
    done = subprocess.run(
        [sys.executable, "-m", "runtime.host", *arguments],
        cwd=directory,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        preexec_fn=limit_memory if limited else None,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


def refused(directory: Path, *arguments: str, limited: bool = False, **environment: str) -> str:
    """Return the output of a command that must fail soon, with an error and a next step."""
    started = time.monotonic()
    status, said = command(directory, *arguments, limited=limited, **environment)
    assert status == 1 and "error: " in said and "next:  " in said, said
    assert "Traceback" not in said
    assert time.monotonic() - started < SOON_SEC
    return said


def giant(path: Path, size: int = 3 << 30) -> Path:
    """Create a sparse file that is too large to read."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def each(setting: str, *values: object) -> List[Dict[str, object]]:
    return [{setting: value} for value in values]


def model_with(tmp_path: Path, executor: str = "aot", **tensor: Any) -> Path:
    """Return an archive whose input "image" is declared with these fields."""
    module = module_metadata(executor)
    module["memory"]["functions"]["main"][0]["inputs"]["image"].update(tensor)
    files = {**full_model(executor), **SYSTEM_LIBRARY}
    files["metadata.json"] = json.dumps({"version": 7, "modules": {"default": module}})
    path = tmp_path / "model.tar"
    path.write_bytes(archive_bytes(files))
    return path


@pytest.fixture
def place(default_platform: Platform) -> HostPlatform:
    return HostPlatform(default_platform.path, "make_platform", "make")


@pytest.fixture
def own_platform(default_platform: Platform, tmp_path: Path) -> Path:
    """Return a platform that a test may change."""
    return Path(shutil.copytree(default_platform.path, tmp_path / "platform"))


@pytest.fixture
def project(place: HostPlatform, tmp_path: Path) -> Path:
    """Return a project that a test may change."""
    generate(place, SMALL, tmp_path / "project", {})
    return tmp_path / "project"


class TestDeclaredSizes:
    def test_a_large_input_of_a_standalone_firmware_is_written_quickly(
        self, place: HostPlatform, tmp_path: Path
    ) -> None:
        started = time.monotonic()
        made = generate(
            place, model_with(tmp_path, size=20 << 20), tmp_path / "p", {"project_type": "standalone"}
        )
        assert time.monotonic() - started < SOON_SEC
        assert (made.directory / "src" / "model_input.c").stat().st_size < 100_000

    @pytest.mark.parametrize("size", [MAX_INPUT_BYTES + 4, 10 << 30, 10**19])
    def test_an_input_that_no_firmware_can_hold(self, place: HostPlatform, tmp_path: Path, size: int) -> None:
        started = time.monotonic()
        archive = model_with(tmp_path, size=size)
        with pytest.raises(PlatformError) as caught:
            generate(place, archive, tmp_path / "p", {"project_type": "standalone"})
        assert f"{size:,}" in caught.value.what
        assert time.monotonic() - started < SOON_SEC
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tar"]

    def test_an_input_larger_than_the_flash_of_the_board(self, tmp_path: Path) -> None:
        board = choose_board(load_boards(FAMILIES / "cortex_m" / "boards.json"), "stm32vldiscovery")
        assert board.flash_bytes is not None
        archive = ModelArchive.open(model_with(tmp_path, size=board.flash_bytes + 4))
        with pytest.raises(PlatformError, match=f"can contain at most {board.flash_bytes:,} bytes"):
            standalone_sources.check_sizes(archive, board)

    @pytest.mark.parametrize("data", [b"ab" * 10, bytes(range(100)) * 3000 + b"x", os.urandom(70_000)])
    def test_what_is_written_is_what_the_compiler_reads(self, tmp_path: Path, data: bytes) -> None:
        lines = "\n".join(standalone_sources._bytes(data))
        brace = "{" if len(data) <= standalone_sources.MAX_NUMBERS else ""
        source = tmp_path / "a.c"
        source.write_text(
            f"#include <stdio.h>\nstatic const unsigned char a[{len(data)}] ={brace}\n{lines}\n"
            "int main(void) { return fwrite(a, 1, sizeof a, stdout) != sizeof a; }\n"
        )
        subprocess.run(["cc", str(source), "-o", str(tmp_path / "a")], check=True)
        assert subprocess.run([tmp_path / "a"], check=True, stdout=subprocess.PIPE).stdout == data

    def test_a_planned_workspace_beyond_all_memory(self, place: HostPlatform, tmp_path: Path) -> None:
        module = module_metadata()
        module["memory"]["functions"]["main"][0]["workspace_size_bytes"] = 10**15
        path = tmp_path / "model.tar"
        metadata = json.dumps({"version": 7, "modules": {"default": module}})
        path.write_bytes(archive_bytes({**full_model(), **SYSTEM_LIBRARY, "metadata.json": metadata}))
        with pytest.raises(PlatformError, match="declares tensors and workspaces of 1,1"):
            generate(place, path, tmp_path / "p", {})
        assert not (tmp_path / "p").exists()

    def test_a_model_of_gigabytes_is_not_read(self, default_platform: Platform, tmp_path: Path) -> None:
        said = refused(default_platform.path, "build", str(giant(tmp_path / "m.tar")), limited=True)
        assert "larger than 256 MiB" in said

    @pytest.mark.parametrize("option", ["extra_files_tar", "standalone_input"])
    def test_nor_is_a_file_of_an_option(
        self, default_platform: Platform, tmp_path: Path, option: str
    ) -> None:
        file = giant(tmp_path / "large.npy")
        said = refused(default_platform.path, "build", str(SMALL), "-o", f"{option}={file}", limited=True)
        assert "larger than" in said

    def test_nor_are_arrays(self, tmp_path: Path) -> None:
        bomb = tmp_path / "bomb.npz"
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
            for index in range(5):
                packed.writestr(f"{index}.npy", bytes(1 << 20))
        os.mkfifo(tmp_path / "pipe.npy")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tensor_files, "MAX_ARRAY_BYTES", 4 << 20)
            for path in (
                bomb,
                giant(tmp_path / "large.npy"),
                tmp_path / "pipe.npy",
                Path("/dev/zero"),
                tmp_path,
            ):
                with pytest.raises(PlatformError, match="cannot be read"):
                    tensor_files.read_arrays(path)

    @pytest.mark.parametrize(
        "content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': (", b"PK\x03\x04" * 9]
    )
    def test_arrays_that_are_none(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "x.npy"
        path.write_bytes(content)
        with pytest.raises(PlatformError, match=r"damaged, or is not a \.npy"):
            tensor_files.read_arrays(path)


WRONG_TYPES = [
    "int0",
    "float32x0",
    "int0x5",
    "int65",
    "uint8x99999",
    "float999",
    "int٣",
    "",
    "int8x",
    "xint8",
]


class TestTypesAndShapes:
    @pytest.mark.parametrize("name", WRONG_TYPES)
    def test_a_data_type_that_no_device_has(self, name: str) -> None:
        with pytest.raises(ValueError, match="invalid data type"):
            DType.parse(name)

    @pytest.mark.parametrize(
        "name", ["bool", "int8", "uint16", "float32", "int8x4", "float16x8", "handle64", "int4"]
    )
    def test_those_that_there_are(self, name: str) -> None:
        assert str(DType.parse(name)) == name

    @pytest.mark.parametrize("shape", [(10**9,) * 9, (2**32, 2), (-1,), (1,) * 33, (2**64,)])
    def test_a_shape_that_no_device_has(self, shape: Tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"invalid shape|dimensions"):
            check_tensor("int8", shape)

    @pytest.mark.parametrize("name", ["int0", "float32x0", "int0x5"])
    @pytest.mark.parametrize("kind", ["host_driven", "standalone"])
    def test_in_an_archive(self, place: HostPlatform, tmp_path: Path, name: str, kind: str) -> None:
        with pytest.raises(ArchiveError) as caught:
            generate(place, model_with(tmp_path, dtype=name), tmp_path / "p", {"project_type": kind})
        assert "declares" in caught.value.what and name in caught.value.what

    @pytest.mark.parametrize("function", [["a"], {"a": 1}, None, 7, "\ud800", "a\0b", "x" * 5000])
    def test_a_kernel_whose_name_is_none(self, function: Any) -> None:
        graph = json.loads(json.dumps(GRAPH))
        graph["nodes"][2]["attrs"]["func_name"] = function
        with pytest.raises(ArchiveError, match="invalid kernel name"):
            parse_graph(json.dumps(graph))

    def test_a_graph_of_a_tensor_of_nine_times_a_billion(self) -> None:
        graph = json.loads(json.dumps(GRAPH))
        graph["attrs"]["shape"][1][0] = [10**9] * 9
        with pytest.raises(ArchiveError, match="invalid shape"):
            parse_graph(json.dumps(graph))

    def test_an_operator_with_such_an_argument(self, tmp_path: Path) -> None:
        argument = {"dtype": "int8", "shape": [10**9] * 9, "size_bytes": 4, "input_binding": "a"}
        metadata = {"version": 7, "style": "operator", "model_name": "default", "memory": {"f": [argument]}}
        path = tmp_path / "model.tar"
        path.write_bytes(archive_bytes({**full_model(), "metadata.json": json.dumps(metadata)}))
        with pytest.raises(ArchiveError, match="declares an invalid tensor"):
            assert archive_module.ModelArchive.open(path).operators


class TestTimes:
    @pytest.mark.parametrize("seconds", [2_147_484.0, 1e9, 1e12])
    def test_a_read_may_take_long(self, seconds: float) -> None:
        reading, writing = os.pipe()
        try:
            pipe = PipeTransport("a pipe")
            pipe._attach(reading, writing)
            pipe.write(b"there", seconds)
            assert pipe.read(5, seconds) == b"there"
        finally:
            os.close(reading)
            os.close(writing)

    @pytest.mark.parametrize("seconds", [-1.0, -1e12, 0.0])
    def test_or_no_time_at_all(self, seconds: float) -> None:
        reading, writing = os.pipe()
        try:
            pipe = PipeTransport("a pipe")
            pipe._attach(reading, writing)
            with pytest.raises(PlatformError, match="sent nothing"):
                pipe.read(1, seconds)
            with pytest.raises(PlatformError, match="accepted only"):
                pipe.write(bytes(1 << 20), seconds)
        finally:
            os.close(reading)
            os.close(writing)


class TestEnvironment:
    @pytest.mark.parametrize("columns", ["0", "-1", "²", "x", "", "9" * 5000, "1"])
    def test_a_terminal_of_an_odd_width_shows_all(self, default_platform: Platform, columns: str) -> None:
        status, said = command(default_platform.path, "boards", COLUMNS=columns, LINES=columns)
        assert status == 0 and "transport process" in said, said
        assert "error: " in refused(default_platform.path, "build", "nosuch.tar", COLUMNS=columns)

    @pytest.mark.slow
    @pytest.mark.parametrize("build_system", ["make", "cmake"])
    def test_variables_of_build_files_do_not_reach_them(
        self, default_platforms: Dict[str, Platform], tmp_path: Path, build_system: str
    ) -> None:
        variables: Dict[str, Any] = dict.fromkeys(
            (
                "CRT",
                "runtime_cxx",
                "runtime_sources",
                "BUILD",
                "DEVICE",
                "GENERATED",
                "LINKER_SCRIPT",
                "objects",
            ),
            "1",
        )
        variables.update(GNUMAKEFLAGS="-n", MAKEFLAGS="-n", MFLAGS="-n", MAKEFILES="/dev/zero", VERBOSE="x")
        variables.update(
            CMAKE_GENERATOR="Ninja", CMAKE_TOOLCHAIN_FILE="/nosuch", CMAKE_C_COMPILER_LAUNCHER="/nosuch"
        )
        status, said = command(
            default_platforms[build_system].path,
            *("build", str(SMALL), "--project-dir", str(tmp_path / "p")),
            MICROTVM_CACHE_DIR=str(tmp_path / "cache"),
            **variables,
        )
        assert status == 0, said
        assert (tmp_path / "p" / "build" / "firmware").is_file()


SPECIAL = [
    "#",
    "\\#",
    "\\\\#",
    "a#b#c",
    "$x $(y) ${z} $$",
    "'",
    "`x`",
    "%",
    "a b",
    "*?~",
    "&|<>()",
    "!",
    "\\n",
    "@",
    "é",
]


@pytest.mark.slow
@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_definitions_reach_the_compiler_as_they_are(
    default_platforms: Dict[str, Platform], tmp_path: Path, build_system: str
) -> None:
    """Let the compiler compare each definition with its expected C string."""
    names = {f"TEXT_{index}": text for index, text in enumerate(SPECIAL)}
    wanted = {name: text.replace("\\", "\\\\") for name, text in names.items()}
    checks = [
        f'_Static_assert(__builtin_strcmp({name}, "{text}") == 0, "{name}");' for name, text in wanted.items()
    ]
    extra = tmp_path / "extra.tar"
    extra.write_bytes(archive_bytes({"check.c": "\n".join([*checks, "extern int unused;"])}))
    definitions = [f'{name}="{text}"' for name, text in wanted.items()] + ["A=\\#x"]
    status, said = command(
        default_platforms[build_system].path,
        *("build", str(SMALL), "--project-dir", str(tmp_path / "p")),
        *("-o", f"compile_definitions={json.dumps(definitions)}", "-o", f"extra_files_tar={extra}"),
    )
    assert status == 0, said


class TestRequests:
    def answer(
        self, request: Dict[str, Any], handler: Optional[Any] = None, longest: int = 20_000
    ) -> Dict[str, Any]:
        out = io.BytesIO()
        line = json.dumps({"jsonrpc": "2.0", "id": 1, **request}).encode() + b"\n"
        started = time.monotonic()
        server.ProjectAPIServer(io.BytesIO(line), out, handler).serve_forever()  # type: ignore[arg-type]
        assert time.monotonic() - started < SOON_SEC
        assert len(out.getvalue()) < longest
        reply: Dict[str, Any] = json.loads(out.getvalue())
        return reply

    @pytest.mark.parametrize(
        "request_of",
        [
            lambda name: {"method": name},
            lambda name: {"method": "build", "params": {"options": {}, name: 1}},
            lambda name: {"method": "build", "params": {"options": name}},
            lambda name: {"method": "build", "params": name},
            lambda name: {"method": "build", "params": [[name]] * 3},
            lambda name: {"method": "write_transport", "params": {"data": name, "timeout_sec": name}},
            lambda name: {"jsonrpc": name},
            lambda name: {"id": name},
            lambda name: {"id": [name]},
        ],
    )
    def test_a_long_name_is_not_sent_back(self, request_of: Callable[[str], Dict[str, Any]]) -> None:
        assert "error" in self.answer(request_of("x" * 60_000_000))

    def test_an_option_of_a_long_name(self) -> None:
        option = server.ProjectOption(
            "board", type="str", optional=["build"], choices=("a",), help="A board."
        )
        for given in ({"x" * 10**7: 1}, {"board": "x" * 10**7}, {"board": ["x" * 10**7]}):
            with pytest.raises(server.OptionError) as caught:
                server.coerce_options([option], given)
            assert len(str(caught.value)) < 1000

    def test_a_sentence_of_any_length_and_with_any_character_is_cut_and_plain(self) -> None:
        class Handler:
            project_options = None

            def build(self, _options: Any) -> None:
                raise PlatformError("\x1b[2J" + "x" * 10**7, "\ud800\u202e", "\x1b]0;title\x07" * 10**6)

        error = self.answer({"method": "build", "params": {"options": {}}}, Handler(), 1_000_000)
        assert "\x1b" not in json.loads(json.dumps(error), strict=False)["error"]["message"]
        assert error["error"]["message"].startswith("\\x1b[2Jxxx")

    @pytest.mark.parametrize(
        "text", ["\0", "a\0b", "\ud800", "\udcff", "a\nb", "x" * 5000, "~", "~/x", "~root/x"]
    )
    @pytest.mark.parametrize("parameter", ["project_dir", "model_library_format_path"])
    def test_odd_paths(self, default_platform: Platform, tmp_path: Path, parameter: str, text: str) -> None:
        params = {
            "model_library_format_path": str(ARCHIVES / "nosuch.tar"),
            "standalone_crt_dir": text,
            "project_dir": str(tmp_path / "p"),
            "options": {},
            parameter: text,
        }
        before = sorted(default_platform.path.iterdir())
        with ApiServer(default_platform.path, stderr=subprocess.DEVNULL) as api:
            error = api.error("generate_project", **params)
            assert error["data"] is None and "\n" in error["message"], error
            assert api.ask("server_info_query", tvm_version="0.18.0")["is_template"]
        assert sorted(default_platform.path.iterdir()) == before
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("text", ["A=\0", "A=\ud800", "A=\n", "A=\x7f", "\udc80"])
    def test_odd_definitions(self, place: HostPlatform, tmp_path: Path, text: str) -> None:
        with pytest.raises(PlatformError, match="compile_definitions"):
            generate(place, SMALL, tmp_path / "p", {"compile_definitions": [text]})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["NEW/..", "NEW/../", "NEW/x/../.."])
    def test_a_path_that_leads_back(
        self, place: HostPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        (tmp_path / "mine").touch()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(PlatformError, match="not an empty directory"):
            generate(place, SMALL, Path(name), {})
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]

    def test_a_link_to_an_empty_directory(self, place: HostPlatform, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "link").symlink_to("empty")
        generate(place, SMALL, tmp_path / "link", {})
        assert (tmp_path / "link").is_symlink() and (tmp_path / "empty" / "project.json").is_file()

    def test_directories_that_were_made_for_a_project_that_fails_go(
        self, place: HostPlatform, tmp_path: Path
    ) -> None:
        options = {"extra_files_tar": str(tmp_path / "nosuch.tar")}
        with pytest.raises(PlatformError, match="does not exist; expected a tar of extra files"):
            generate(place, SMALL, tmp_path / "a" / "b" / "c", options)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "changes",
        [
            *each("board", None, [], {}, 7),
            *each("project_type", None, ["standalone"], "x"),
            *each("config", None, [], "x", {}, {"FIRMWARE": "a"}),
            *each("firmware_id", "1", -1, 2**70, True, []),
            *({"crt": 7}, {"runner": ["qemu"]}, {"workspace_size_bytes": "x"}),
        ],
    )
    def test_a_project_json_of_other_types(self, project: Path, changes: Dict[str, Any]) -> None:
        path = project / "project.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        with pytest.raises(PlatformError, match=r"project\.json is invalid: "):
            load_project(load_platform(project))

    @pytest.mark.parametrize("value", ["../firmware", "/etc/passwd", "", 7, ["x"], "a\0b"])
    def test_a_project_json_with_another_firmware(self, project: Path, value: Any) -> None:
        path = project / "project.json"
        settings = json.loads(path.read_text())
        settings["config"]["FIRMWARE"] = value
        path.write_text(json.dumps(settings))
        with pytest.raises(PlatformError, match=r"config\.FIRMWARE is not the name of a file"):
            load_project(load_platform(project))

    @pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", "\ufeff", '"\\ud800"', "9" * 10_000, "\0"])
    def test_a_project_json_that_is_none(self, project: Path, text: str) -> None:
        (project / "project.json").write_text(text)
        assert "project.json" in refused(project, "size")


class TestStarting:
    def start(self, directory: Path, *arguments: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            cwd=directory,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            **keywords,
        )

    @pytest.mark.parametrize(
        "number", ["99999999999999999999", "9" * 5000, "999999", "-1", "1e3", "٣", "0x1"]
    )
    def test_a_descriptor_that_there_is_not(self, default_platform: Platform, number: str) -> None:
        ended = self.start(default_platform.path, "--read-fd", number, "--write-fd", "1")
        assert ended.returncode == 2 and "--read-fd" in ended.stderr and "usage:" in ended.stderr
        assert "Traceback" not in ended.stderr and len(ended.stderr) < 1000

    def test_a_full_disk(self, default_platform: Platform) -> None:
        reading, writing = os.pipe()
        os.write(writing, b'{"jsonrpc":"2.0","id":1,"method":"close_transport","params":{}}\n' * 3)
        os.close(writing)
        with Path("/dev/full").open("wb") as full:
            descriptors = (reading, full.fileno())
            ended = self.start(
                default_platform.path,
                *("--read-fd", str(descriptors[0]), "--write-fd", str(descriptors[1])),
                pass_fds=descriptors,
            )
        os.close(reading)
        assert ended.returncode == 1
        assert ended.stderr == "microtvm_api_server.py: cannot write a reply: No space left on device\n"


class TestOddFiles:
    """Named pipes and devices in place of regular files."""

    def test_boards_json(self, own_platform: Path) -> None:
        path = own_platform / "boards.json"
        path.unlink()
        os.mkfifo(path)
        assert "is not a regular file" in refused(own_platform, "boards")
        path.unlink()
        path.symlink_to("/dev/zero")
        assert "is not a regular file" in refused(own_platform, "boards")
        path.unlink()
        giant(path)
        assert "is larger than" in refused(own_platform, "boards", limited=True)

    @pytest.mark.parametrize("name", [".build.lock", "config.mk", "project.json"])
    def test_of_a_project(self, project: Path, name: str) -> None:
        (project / name).unlink(missing_ok=True)
        os.mkfifo(project / name)
        assert name in refused(project, "build")

    def test_a_lock(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "lock")
        with pytest.raises(PlatformError, match="cannot be opened"), exclusive(
            tmp_path / "lock", 1.0, "It runs"
        ):
            pass

    def test_a_model(self, default_platform: Platform, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.tar")
        assert "not a regular file" in refused(default_platform.path, "build", str(tmp_path / "pipe.tar"))
        assert "is a directory, not a model archive" in refused(default_platform.path, "build", str(tmp_path))

    @pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/"])
    def test_nothing_else_is_read(self, path: str) -> None:
        with pytest.raises(NotRegular):
            read_bytes(path, 10)

    @pytest.mark.parametrize("name", ["README.md", "boards.json", "Makefile", "odd"])
    def test_where_a_platform_is_to_be_baked(
        self, bake: Baker, capfd: pytest.CaptureFixture[str], name: str
    ) -> None:
        out = bake.scratch / "out" / "acme"
        out.mkdir(parents=True)
        os.mkfifo(out / name)
        with pytest.raises(FailedHookException):
            bake(into=out.parent, typed=("Acme", "acme", "", "", ""), overwrite=True)
        said = capfd.readouterr().err
        assert (
            f"whose {name} is a pipe or a device" in said
            or f"whose {name} does not belong to a platform" in said
        )


class TestPorts:
    def test_one_that_vanishes_while_it_is_opened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(*_: Any) -> None:
            raise termios.error(errno.EIO, "Input/output error")

        controller, port = os.openpty()
        path = os.ttyname(port)
        os.close(port)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(serial_module, "_make_ours", gone)
                transport = serial_module.SerialTransport(path, 115200)
                with pytest.raises(PlatformError, match="vanished while it was opened: Input/output error"):
                    transport.open()
            transport.open()  # neither the port nor its lock is still held
            transport.close()
        finally:
            os.close(controller)


def board_file(tmp_path: Path, **fields: Any) -> Path:
    """Write boards.json with one board that has these fields changed."""
    document = json.loads((FAMILIES / "cortex_m" / "boards.json").read_text())
    name, entry = next(iter(document["boards"].items()))
    path = tmp_path / "boards.json"
    path.write_text(json.dumps({"schema": 1, "boards": {name: {**entry, "default": True, **fields}}}))
    return path


class TestBoards:
    @pytest.mark.parametrize(
        "text", ["\x1b[2J", "a\x1b]0;x\x07", "a\0b", "\ud800", "a\nb", "a\u202eb", "\x9b31m"]
    )
    @pytest.mark.parametrize("field", ["label", "family", "address"])
    def test_control_characters_are_refused_and_not_printed(
        self, tmp_path: Path, field: str, text: str
    ) -> None:
        with pytest.raises(BoardError, match="without control characters") as caught:
            load_boards(board_file(tmp_path, **{field: text}))
        assert str(caught.value).replace("\n", "").isprintable()

    def test_in_a_list(self, tmp_path: Path) -> None:
        runners = {"qemu": {"program": "qemu-system-arm", "machine": "x", "arguments": ["a\0b"]}}
        board = next(iter(load_boards(board_file(tmp_path, runner="qemu", runners=runners)).values()))
        from runtime.host.runners.table import find_runner

        with pytest.raises(BoardError, match="without control characters"):
            find_runner(board, "qemu").read_params(board)

    @pytest.mark.parametrize(
        "text",
        ["*/", "/*", "*/ #error */", "**//", "*" * 9 + "/" * 9, "/*/*/", "\\", "??/", "é \U0001f600", "//"],
    )
    def test_a_reason_with_signs_of_a_comment(self, tmp_path: Path, text: str) -> None:
        board = next(iter(load_boards(board_file(tmp_path)).values()))
        board = board._replace(
            setup=(RegisterWrite(0x40000000, 0, 1, 32, text), RegisterWrite(4, 0, 1, 32, "x"))
        )
        header = tmp_path / "board.h"
        header.write_text(board_support.board_files(board)["board/board.h"])
        source = tmp_path / "a.c"
        source.write_text(
            '#include "board.h"\n#define LIST(address, clear, set, bits) address,\n'
            "static const unsigned all[] = {BOARD_SETUP(LIST)};\n"
            '_Static_assert(sizeof all / sizeof all[0] == 2, "two");\nextern const unsigned *x;\n'
            "const unsigned *x = all;\n"
        )
        subprocess.run(
            ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(source)],
            check=True,
            cwd=tmp_path,
        )

    @pytest.mark.parametrize(
        ("timer", "words"),
        [
            ({"kind": "systick", "wrong": 1}, "unknown field 'timer.wrong'"),
            ({"kind": "systick", "x\n#error": 1}, "expected names of lower-case letters"),
            ({"kind": "systick", "x y": 1}, "expected names of lower-case letters"),
            ({"kind": "nrf", "address": True}, "expected an integer"),
            ({"kind": "nrf", "address": -1}, "expected an integer"),
            ({"kind": "nrf", "address": 1.5}, "expected an integer"),
            ({"kind": "nrf", "address": "1); evil("}, "expected a hexadecimal"),
            ({"kind": "nrf", "address": [1]}, "expected an integer"),
            ({"kind": "../uart/pl011"}, "unknown timer.kind"),
            ({"kind": "nosuch"}, "unknown timer.kind"),
            ({"kind": 7}, 'expected an object with a "kind"'),
        ],
    )
    def test_a_timer_with_other_fields(
        self, default_platform: Platform, tmp_path: Path, timer: Dict[str, Any], words: str
    ) -> None:
        with pytest.raises(BoardError) as caught:
            board = next(iter(load_boards(board_file(tmp_path, timer=timer)).values()))
            board_support.port_config(default_platform.path, board, {})
        assert words in caught.value.what + caught.value.next_step, caught.value

    @pytest.mark.parametrize("name", ["a b", "../x", "\x1b", "", "x" * 50])
    def test_a_tool_of_an_odd_name(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BoardError, match="expected runner names"):
            load_boards(board_file(tmp_path, runners={name: {}}))

    @pytest.mark.parametrize("value", ["x" * 10**6, ["x" * 10**6], {"x" * 10**6: 1}])
    def test_a_long_value_is_cut(self, tmp_path: Path, value: Any) -> None:
        with pytest.raises(BoardError) as caught:
            load_boards(board_file(tmp_path, clock_hz=value))
        assert len(str(caught.value)) < 2000


class TestPrinting:
    def test_text_of_others_cannot_steer_the_terminal(self) -> None:
        out = Terminal(file=io.StringIO(), force_terminal=True, color_system="standard", **PLAIN)
        evil = "\x1b[2J\x9b31m\x07\u202e\r"
        out.print(f"plain {evil} text")
        out.print(Text.assemble(("bold", "bold"), evil, ("red", "red")))
        said = out.file.getvalue()  # type: ignore[attr-defined]
        assert "\x1b[2J" not in said and "\x9b" not in said and "\x07" not in said and "\u202e" not in said
        assert "plain \\x1b[2J\\x9b31m\\x07\\u202e\\r text" in said
        assert "\\x1b[2J\\x9b31m\\u202e" in said  # a Text has already removed the other two
        assert "\x1b[31mred\x1b[0m" in said  # intended styles remain

    def test_a_file_of_an_odd_name(self, default_platform: Platform, tmp_path: Path) -> None:
        path = tmp_path / "\x1b[2Jm.tar"
        path.write_bytes(b"no archive")
        said = refused(default_platform.path, "build", str(path))
        assert "\x1b" not in said and "\\x1b[2Jm.tar" in said

    def test_a_standalone_firmware_that_sends_escapes(
        self, default_platform: Platform, tmp_path: Path
    ) -> None:
        extra = tmp_path / "extra.tar"
        code = '#include <stdio.h>\n__attribute__((constructor)) static void f(void) { puts("\\033[2J"); }\n'
        extra.write_bytes(archive_bytes({"say.c": code}))
        status, said = command(
            default_platform.path,
            *("run", str(SMALL), "--project-dir", str(tmp_path / "p")),
            *("-o", "project_type=standalone", "-o", f"extra_files_tar={extra}"),
        )
        assert status == 0 and "\x1b" not in said and "\\x1b[2J" in said, said


class TestExplaining:
    @pytest.mark.parametrize(
        "error",
        [
            ValueError("embedded null byte"),
            OverflowError("Python int too large to convert to C int"),
            UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
            RecursionError("maximum recursion depth exceeded"),
            MemoryError(),
            EOFError(),
            termios.error(5, "Input/output error"),
            zipfile.BadZipFile("x"),
            OSError(errno.ENOSPC, "No space left on device", "/x"),
        ],
    )
    def test_what_input_can_cause_has_two_sentences(self, error: Exception) -> None:
        told = explained(error)
        assert not isinstance(told, HostToolsFault)
        assert told.what.endswith(".") and told.next_step.endswith(".")

    def test_a_fault_of_ours_is_called_so_and_its_place_is_named(self) -> None:
        try:
            {}["missing"]  # type: ignore[index]
        except KeyError as error:
            told = explained(error)
        assert isinstance(told, HostToolsFault) and "test_entries.py:" in told.what

    @pytest.mark.parametrize("switch", [("-v", "boards"), ("build", "-v", str(SMALL))])
    def test_verbose_shows_where_it_happened(self, own_platform: Path, switch: Tuple[str, ...]) -> None:
        with (own_platform / "runtime" / "host" / "boards" / "table.py").open("a") as file:
            file.write("\n\ndef read_table(path):\n    raise KeyError('unforeseen')\n")
        said = refused(own_platform, *(word for word in switch if word != "-v"))
        assert "Internal error in the host tools: KeyError: 'unforeseen' (table.py:" in said
        status, said = command(own_platform, *switch)
        assert status == 1 and "Traceback" in said and "raise KeyError('unforeseen')" in said

    def test_the_api_server_sends_the_traceback_of_a_fault(self, own_platform: Path) -> None:
        with (own_platform / "runtime" / "host" / "boards" / "table.py").open("a") as file:
            file.write("\n\ndef read_table(path):\n    raise KeyError('unforeseen')\n")
        with ApiServer(own_platform) as api:
            error = api.error("server_info_query", tvm_version="0.18.0")
        assert "most recent call last" in error["data"]["traceback"]


class TestHooks:
    @pytest.mark.parametrize("name", ["pre_gen_project", "post_gen_project"])
    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, "No space left on device", "/x\udcff"),
            UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
            ValueError("embedded null byte"),
            MemoryError(),
        ],
    )
    def test_what_the_system_refuses_is_a_sentence(
        self, capsys: pytest.CaptureFixture[str], name: str, error: Exception
    ) -> None:
        def fail() -> int:
            raise error

        spec = importlib.util.spec_from_file_location(name, TEMPLATE / "hooks" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        hook = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hook)
        assert hook.explained(fail) == 1
        said = capsys.readouterr().err.strip()
        assert said.startswith("The platform ") and "Make sure that" in said and said.isprintable()


def test_an_object_file_that_is_none_is_told_by_the_linkers_words(project: Path, place: HostPlatform) -> None:
    objects = project / "model" / "codegen" / "host" / "lib"
    objects.mkdir(parents=True, exist_ok=True)
    (objects / "bad.o").write_bytes(b"no object")
    said = refused(project, "build")
    assert "not recognized" in said.splitlines()[0], said
    assert "exported for the target of this board" in said


@pytest.fixture(autouse=True)
def nothing_is_left_in_the_working_directory() -> Iterator[None]:
    before = set(Path().iterdir())
    yield
    assert set(Path().iterdir()) == before


def test_a_pipe_among_the_extra_files_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.c")
    with pytest.raises(NotRegular, match="not a regular file"):
        ExtraFiles(tmp_path, None).code()
