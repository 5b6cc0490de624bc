# SPDX-License-Identifier: Apache-2.0
"""Walkthrough "Bring your board" of the platform's README, done step by step with its code.

The board is unknown to every table. It is emulated, always on, and runs the firmware that was flashed last.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest

from runtime.host.boards.attachment import Attachment
from runtime.host.boards.table import choose_board
from runtime.host.commands.open_items import open_items
from runtime.host.errors import BoardError, BuildError, PlatformError, ToolMissing
from runtime.host.firmware.build import build
from runtime.host.firmware.flash import flash_commands
from runtime.host.project.generate import generate
from runtime.host.project.platform import API_SERVER, Platform, load_platform
from runtime.host.project.project import Project
from tests.conftest import Baker
from tests.conftest import Platform as Baked

DIGITS = "models/digits_aot.tar"
PORT_IN_README = "/dev/ttyUSB0"
SECTION = re.compile(r"/\* FILL IN (\d) of 5: .*?(?=/\* FILL IN|\Z)", re.DOTALL)

# A flash tool. It accepts the command line in the README and passes the firmware to the bench.
FLASH_TOOL = """#!{python}
import re, socket, sys
words = re.fullmatch("program (.+) verify reset exit", sys.argv[-1])
if sys.argv[1:-1] != ["-f", "board/ek-lm3s6965.cfg", "-c"] or words is None:
    sys.exit(f"unknown arguments: {{sys.argv}}")
bench = socket.socket(socket.AF_UNIX)
bench.settimeout(60)
bench.connect({control!r})
bench.sendall(words[1].encode())
bench.shutdown(socket.SHUT_WR)
sys.exit(bench.recv(1000).decode() or None)
"""


class Bench:
    """Powered board, and the probe that flashes it.

    Attributes:
        address: HOST:PORT of the board's UART.
        control: Socket on which the probe receives the path of a firmware.
    """

    def __init__(self, directory: Path) -> None:
        self._firmware = directory / "flashed.elf"
        self._uart = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._uart.getsockname()[1]}"
        self._probe = socket.socket(socket.AF_UNIX)
        self.control = str(directory / "probe")
        self._probe.bind(self.control)
        self._probe.listen()
        self._emulator: Optional[subprocess.Popen[bytes]] = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        """Flash and reset until a client sends nothing."""
        while True:
            connection, _ = self._probe.accept()
            with connection:
                path = connection.makefile("rb").read().decode()
                if not path:
                    return
                shutil.copyfile(path, self._firmware)
                self._reset()

    def _reset(self) -> None:
        self._off()
        # The UART listens before the emulator runs, so that an early host connects and waits.
        fd = self._uart.fileno()
        self._emulator = subprocess.Popen(
            [
                *("qemu-system-arm", "-machine", "lm3s6965evb", "-display", "none", "-monitor", "none"),
                *("-chardev", f"socket,id=uart,fd={fd},server=on,wait=off", "-serial", "chardev:uart"),
                *("-kernel", str(self._firmware)),
            ],
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
        )

    def _off(self) -> None:
        if self._emulator is not None:
            self._emulator.kill()
            self._emulator.wait()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as nobody:
            nobody.connect(self.control)
        self._thread.join()
        self._off()
        self._probe.close()
        self._uart.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    board = Bench(tmp_path)
    yield board
    board.close()


class Step(NamedTuple):
    """One numbered step of "Bring your board": its text, and its blocks as (language, code)."""

    text: str
    blocks: List[Tuple[str, str]]

    def only(self, language: str) -> str:
        (code,) = self.all(language)
        return code

    def all(self, language: str) -> List[str]:
        return [code for found, code in self.blocks if found == language]


def steps(readme: str) -> Dict[str, Step]:
    """Return the steps by heading."""
    walk = readme.split("\n## Bring your board\n")[1].split("\n## ", 1)[0]
    parts = re.split(r"^### \d\. (.+)\n", walk, flags=re.MULTILINE)[1:]
    blocks = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return {heading: Step(text, blocks.findall(text)) for heading, text in zip(parts[::2], parts[1::2])}


class Owner:
    """Person who follows the page "Add a board" of a platform."""

    def __init__(self, baked: Baked, tools: Path) -> None:
        self.path = baked.path
        self.steps = steps(baked.text("docs/how-to/add-a-board.md"))
        self._path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runtime.host", *command],
            cwd=self.path,
            env={**os.environ, "PATH": self._path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )

    def open_places(self) -> List[str]:
        """Return the file and line of each open item, as `check` lists them."""
        platform = load_platform(self.path)
        (board,) = platform.boards().values()
        return [item.where for item in open_items(platform, board)]

    def describe(self) -> None:
        boards = self.path / "boards.json"
        entry = self.steps["Describe the board"].only("json")
        before, after = re.fullmatch(
            r'(.*"boards": \{\n).*?(\n  \}\n\}\n)', boards.read_text(), re.DOTALL
        ).groups()  # type: ignore[union-attr]
        boards.write_text(before + entry.rstrip("\n") + after)

    def say_how_to_build(self) -> None:
        step = self.steps["Set the build command"]
        self._set("build_command", step.only("python"))
        for name, code in (("board.ld", step.only("ld")), ("start.c", step.only("c"))):
            assert f"`port/{name}`" in step.text
            (self.path / "port" / name).write_text(code)

    def write_functions(self) -> Iterator[int]:
        """Replace one section after another, and yield the number of each."""
        port = self.path / "port" / "board.c"
        for number, code in enumerate(self.steps["Write the functions of the board"].all("c"), 1):
            found = SECTION.search(port.read_text())
            assert found is not None and found[1] == str(number)
            port.write_text(port.read_text().replace(found[0], f"{code}\n"))
            yield number

    def say_how_to_flash(self) -> None:
        self._set("flash_command", self.steps["Set the flash command"].only("python"))

    def say_where_it_is(self, port: str) -> None:
        line = self.steps["Set the serial port"].only("python")
        assert PORT_IN_README in line
        self._set("port", line.replace(PORT_IN_README, port))

    def _set(self, name: str, lines: str) -> None:
        server = self.path / API_SERVER
        line = f"    {name}=None,\n"
        assert server.read_text().count(line) == 1 and lines.startswith(f"    {name}=")
        server.write_text(server.read_text().replace(line, lines))


@pytest.fixture
def owner(bake: Baker, bench: Bench, tmp_path: Path) -> Owner:
    tool = tmp_path / "tools" / "openocd"
    tool.parent.mkdir()
    tool.write_text(FLASH_TOOL.format(python=sys.executable, control=bench.control))
    tool.chmod(0o755)
    return Owner(bake(board_family="custom"), tool.parent)


def opened(said: str) -> List[str]:
    """Return the places that `check` lists as open."""
    return re.findall(r"^open +(\S+:\d+): ", said, flags=re.MULTILINE)


@pytest.mark.slow
def test_the_readme_brings_a_board_from_nothing_to_a_model_that_runs(owner: Owner, bench: Bench) -> None:
    fresh = owner.run("check")
    assert fresh.returncode == 0, fresh.stdout
    assert "Everything works on this machine." in fresh.stdout
    assert len(opened(fresh.stdout)) == 9

    owner.describe()
    described = owner.run("check")
    assert described.returncode == 1
    assert len(opened(described.stdout)) == 8
    assert re.search(
        rf"^next: {API_SERVER}:\d+: Give the command that builds", described.stdout, re.MULTILINE
    )

    owner.say_how_to_build()
    buildable = owner.run("check")
    assert "ok     build: firmware of" in buildable.stdout, buildable.stdout
    assert "ok     flash" not in buildable.stdout
    assert len(opened(buildable.stdout)) == 7

    left = [len(owner.open_places()) for _ in owner.write_functions()]
    assert left == [6, 5, 4, 3, 2]
    written = owner.run("check")
    assert "ok     build: firmware of" in written.stdout, written.stdout
    assert [place.partition(":")[0] for place in opened(written.stdout)] == [API_SERVER, API_SERVER]

    owner.say_how_to_flash()
    shown = owner.run("flash", "--dry-run", DIGITS)
    openocd = r"^openocd -f board/ek-lm3s6965.cfg -c 'program /.*/firmware.elf verify reset exit'$"
    assert re.search(openocd, shown.stdout, re.MULTILINE)
    assert len(owner.open_places()) == 1

    owner.say_where_it_is(bench.address)
    done = owner.run("check")
    assert done.returncode == 0, done.stdout
    assert "ok     flash: done with openocd" in done.stdout
    assert "32 of 32 bundled images, each answered exactly as on the host" in done.stdout
    assert done.stdout.endswith("Everything works.\n")

    ran = owner.run("run", DIGITS)
    assert ran.returncode == 0 and "output 0:" in ran.stdout, ran.stdout
    assert re.search(r"^flash +[\d,]+ of 262,144 bytes of lm3s6965$", ran.stdout, re.MULTILINE)
    sizes = owner.run("size", DIGITS, "--no-run")
    assert re.search(r"^lm3s6965 has .*262,144.*65,536", sizes.stdout, re.MULTILINE), sizes.stdout


def test_the_code_of_the_readme_has_no_warning(owner: Owner, tmp_path: Path) -> None:
    owner.say_how_to_build()
    for _ in owner.write_functions():
        pass
    flags = ["-mcpu=cortex-m3", "-mthumb", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    for name in ("board.c", "start.c"):
        source = str(owner.path / "port" / name)
        includes = f"-I{owner.path / 'runtime/device/include'}"
        argv = ["arm-none-eabi-gcc", *flags, includes, "-c", source, "-o", str(tmp_path / "object.o")]
        subprocess.run(argv, check=True)


@pytest.mark.parametrize("standard", ["c99", "gnu11"])
def test_the_functions_as_they_come_have_no_warning(bake: Baker, tmp_path: Path, standard: str) -> None:
    path = bake(board_family="custom").path
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-pedantic"]
    argv = ["cc", *flags, f"-I{path / 'runtime/device/include'}", "-c", str(path / "port/board.c")]
    subprocess.run([*argv, "-o", str(tmp_path / "object.o")], check=True)


@pytest.fixture
def custom(bake: Baker) -> Platform:
    return load_platform(bake(board_family="custom").path)


def with_build_command(platform: Platform, *command: str) -> Platform:
    return Platform(platform.directory, platform.name, platform.build_system, build_command=command)


class TestBuildCommand:
    def test_builds_what_our_build_files_build(self, custom: Platform, tmp_path: Path) -> None:
        command = ("cc", "-w", "{flags}", "{sources}", "-lm", "-o", "{firmware}")
        platform = with_build_command(custom, *command)
        project = generate(platform, platform.directory / DIGITS, tmp_path / "a b", {})
        report = build(project)
        assert [(stage.name, stage.cached) for stage in report.stages] == [("build_command", False)]
        from runtime.host.execution.running_model import running_model

        with running_model(project) as executor:
            assert len(executor.outputs) == 1

    def test_lists_are_joined_inside_of_an_argument(self, custom: Platform, tmp_path: Path) -> None:
        script = 'echo "$0" > {firmware}; touch {project}/was_here'
        platform = with_build_command(custom, "sh", "-c", script, "SOURCES={sources}")
        project = generate(platform, platform.directory / DIGITS, tmp_path / "project", {})
        build(project)
        sources = project.firmware.read_text()
        assert sources.startswith("SOURCES=port/board.c runtime/device/apps/host_driven.c ")
        assert all((project.directory / name).is_file() for name in sources.strip()[8:].split())
        assert (project.directory / "was_here").exists()

    def test_what_it_left_beside_the_firmware_stays(self, custom: Platform, tmp_path: Path) -> None:
        script = "ls build | grep -c object; touch build/object {firmware}; exit 0"
        platform = with_build_command(custom, "sh", "-c", script)
        project = generate(platform, platform.directory / DIGITS, tmp_path / "project", {})
        build(project)
        build(project)
        assert (project.directory / "build" / "object").exists()

    @pytest.mark.parametrize(
        ("command", "error", "words"),
        [
            (
                ("sh", "-c", "echo 'a.c:3:1: error: no such chip'; exit 3"),
                BuildError,
                "a.c:3:1: error: no such chip",
            ),
            (("sh", "-c", "echo license server is down; exit 3"), BuildError, "exited with status 3"),
            (("true",), BuildError, "did not create"),
            (("no-such-sdk", "build"), ToolMissing, "no-such-sdk is not installed"),
            (("port/no_such.sh",), ToolMissing, "no_such.sh is not installed"),
            (("cc", "{sorces}"), BuildError, "has an invalid field"),
            ((), BuildError, "is empty"),
        ],
    )
    def test_that_fails_says_what_happened(
        self,
        custom: Platform,
        tmp_path: Path,
        command: Tuple[str, ...],
        error: type[PlatformError],
        words: str,
    ) -> None:
        platform = with_build_command(custom, *command)
        project = generate(platform, platform.directory / DIGITS, tmp_path / "project", {})
        with pytest.raises(error, match=re.escape(words)):
            build(project)
        assert not project.firmware.exists()

    def test_its_output_is_in_the_log(self, custom: Platform, tmp_path: Path) -> None:
        platform = with_build_command(custom, "sh", "-c", "echo license server is down; exit 3")
        project = generate(platform, platform.directory / DIGITS, tmp_path / "project", {})
        with pytest.raises(BuildError) as failed:
            build(project)
        assert "license server is down" in failed.value.log
        assert API_SERVER in failed.value.what

    def test_does_not_build_the_runtime_of_tvm(self, custom: Platform, tmp_path: Path) -> None:
        platform = with_build_command(custom, "cc", "{sources}")
        project = generate(platform, platform.directory / DIGITS, tmp_path / "project", {})
        with pytest.raises(BuildError, match="only the bundled device runtime"):
            on_tvm_crt = project.settings.config._replace(crt="crt")
            build(Project(project.platform, project.settings._replace(config=on_tvm_crt), project.board))

    @pytest.mark.slow
    def test_without_a_link_map_size_says_so(self, bake: Baker) -> None:
        path = bake(board_family="custom").path
        server = path / API_SERVER
        command = '["cc", "-w", "{flags}", "{sources}", "-lm", "-o", "{firmware}"]'
        server.write_text(server.read_text().replace("build_command=None", f"build_command={command}"))
        argv = [sys.executable, "-m", "runtime.host", "size", DIGITS]
        done = subprocess.run(argv, cwd=path, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("No link map. Add -Wl,-Map=build/firmware.map to build_command")
        assert "workspace at most" in done.stdout


COMMAND = ("load", "{port}", "{baud_rate}", "{firmware}")


def test_a_flash_command_is_told_the_port_of_the_platform(custom: Platform, tmp_path: Path) -> None:
    platform = Platform(
        custom.directory,
        custom.name,
        custom.build_system,
        flash_command={choose_board(custom.boards(), None).name: COMMAND},
        port="/dev/ttyUSB7",
        baud_rate=9600,
    )
    project = generate(platform, platform.directory / DIGITS, tmp_path / "project", {})
    firmware = str(project.firmware)
    assert flash_commands(project) == [["load", "/dev/ttyUSB7", "9600", firmware]]
    assert flash_commands(project, Attachment(port="COM3")) == [["load", "COM3", "9600", firmware]]


def test_a_port_without_a_file_is_told(custom: Platform, tmp_path: Path) -> None:
    (custom.directory / "port" / "board.c").unlink()
    with pytest.raises(BoardError, match="port/ has no C file"):
        generate(custom, custom.directory / DIGITS, tmp_path / "project", {})


def test_a_change_of_the_port_is_built_and_not_taken_from_the_cache(custom: Platform, tmp_path: Path) -> None:
    build(generate(custom, custom.directory / DIGITS, tmp_path / "first", {}))
    port = custom.directory / "port" / "board.c"
    port.write_text(f"{port.read_text()}\n#error changed\n")
    with pytest.raises(BuildError, match="changed"):
        build(generate(custom, custom.directory / DIGITS, tmp_path / "second", {}))
