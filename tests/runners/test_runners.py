# SPDX-License-Identifier: Apache-2.0
"""Flash tools: command lines, parameters in boards.json, and explanations of failures.

Tools that Debian or PyPI provides are really started, as far as they run without a probe.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import pytest

from runtime.host.boards.attachment import Attachment
from runtime.host.boards.board import Board
from runtime.host.boards.cores import find_cpu
from runtime.host.boards.table import choose_board, load_boards
from runtime.host.errors import BoardError, FlashError, ToolMissing
from runtime.host.execution.connection import is_emulated
from runtime.host.firmware import flash as flash_module
from runtime.host.firmware.flash import flash, flash_commands
from runtime.host.project.platform import Platform
from runtime.host.project.project import Project
from runtime.host.project.settings import BuildConfig, ProjectSettings
from runtime.host.runners import qemu
from runtime.host.runners.table import RUNNERS, find_runner
from runtime.host.system.locks import BoardLock, serial_number_lock
from runtime.host.system.logs import COMMANDS
from tests.support.openocd import missing_configs

TEMPLATE = Path(__file__).resolve().parents[2]
BOARDS = sorted(TEMPLATE.glob("*cookiecutter*/families/*/boards.json"))

NUCLEO_RUNNERS: Dict[str, Any] = {
    "qemu": {"program": "qemu-system-arm", "machine": "netduinoplus2"},
    "openocd": {"config": ["board/st_nucleo_f4.cfg"]},
    "pyocd": {"target": "stm32f446retx"},
    "jlink": {"device": "STM32F446RE"},
    "st-flash": {},
    "stm32cubeprogrammer": {},
    "nrfutil": {},
    "nrfjprog": {"family": "NRF52"},
    "picotool": {},
    "dfu-util": {"usb": "0483:df11"},
}
NUCLEO: Dict[str, Any] = {
    "label": "ST NUCLEO-F446RE",
    "family": "cortex_m",
    "device_port": "cortex_m",
    "transport": "serial",
    "verified": "built",
    "default": True,
    "cpu": "cortex-m4f",
    "clock_hz": 16000000,
    "memory": {
        "flash": {"address": "0x08000000", "bytes": 524288},
        "ram": {"address": "0x20000000", "bytes": 131072},
    },
    "uart": {
        "kind": "stm32_v1",
        "address": "0x40004400",
        "interrupt": 38,
        "clock_hz": 16000000,
        "baud": 115200,
    },
    "runner": "openocd",
}
ELF, HEX, BIN = "build/firmware.elf", "build/firmware.hex", "build/firmware.bin"
TO_HEX = ["arm-none-eabi-objcopy", "-O", "ihex", ELF, HEX]
TO_BIN = ["arm-none-eabi-objcopy", "-O", "binary", ELF, BIN]

MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """Return a function that makes a project for a NUCLEO-F446RE with a firmware of two words of flash."""

    def make(
        runners: Optional[Dict[str, Any]] = None,
        flash_command: Any = None,
        generated_for: Optional[str] = None,
        built: bool = True,
        name: str = "nucleo",
        **board: Any,
    ) -> Project:
        entry = {**NUCLEO, "runners": NUCLEO_RUNNERS if runners is None else runners, **board}
        entry = {key: value for key, value in entry.items() if value is not None}
        document = {"schema": 1, "boards": {name: entry}}
        (tmp_path / "boards.json").write_text(json.dumps(document), encoding="utf-8")
        config = BuildConfig(
            apps=[],
            firmware="firmware.elf",
            cross="arm-none-eabi-",
            cpu_flags=[],
            linker_script="link.ld",
            port_sources=[],
            optimization="-O2",
            definitions=[],
        )
        chosen = ProjectSettings(name, generated_for, "host_driven", None, 0, 0, config)
        platform = Platform(tmp_path, "trial", "make", flash_command)
        project = Project(platform, chosen, choose_board(platform.boards(), name))
        if built:
            project.firmware.parent.mkdir(exist_ok=True)
            link(project.firmware)
        return project

    return make


def link(
    firmware: Path,
    compiler: str = "arm-none-eabi-gcc",
    flags: Sequence[str] = ("-mcpu=cortex-m4", "-mthumb"),
    address: int = 0x08000000,
) -> None:
    """Link a firmware of two words: the initial stack pointer and the entry point."""
    source = 'const int vectors[2] __attribute__((section(".text"))) = {0x20020000, 0x08000009};'
    subprocess.run(
        [compiler, *flags, "-nostdlib", f"-Wl,-Ttext={address:#x},-evectors", "-x", "c", "-", "-o", firmware],
        input=source.encode(),
        stderr=subprocess.DEVNULL,
        check=True,
    )


def read_entries(board: Board) -> None:
    """Read the board's entry for each of its runners. Raise BoardError for the first invalid one."""
    for name in board.runners:
        find_runner(board, name).read_params(board)


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate missing tools: commands use the tools' plain names."""
    for runner in RUNNERS.values():
        monkeypatch.setattr(type(runner), "find", lambda self: None)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return a function that installs a shell script under the name of a flash tool."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(flash_module, "RETRY_PAUSE_SEC", 0.0)

    def write(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return write


OPENOCD_START = ["openocd", "-f", "board/st_nucleo_f4.cfg"]
OPENOCD_QUIET = ["-c", "gdb_port disabled", "-c", "tcl_port disabled", "-c", "telnet_port disabled"]
OPENOCD_END = ["-c", f"program {ELF} verify reset exit"]
PYOCD_COMMON = ["--no-wait", "--target", "stm32f446retx", "-O", "auto_unlock=false"]
PYOCD_WRITE = ["--erase", "sector", "--no-reset", "--format", "elf", ELF]
PYOCD_COMPARE = ["-c", f"compare 0x08000000 {BIN}", "-c", "reset"]
JLINK_START = ["JLinkExe", "-NoGui", "1", "-ExitOnError", "1", "-AutoConnect", "1"]
JLINK_END = [
    "-Device",
    "STM32F446RE",
    "-If",
    "SWD",
    "-Speed",
    "4000",
    "-CommanderScript",
    "build/firmware.jlink",
]
JLINK_SCRIPT = [
    *("sh", "-c", "printf '%s\\n' \"$@\" > build/firmware.jlink", "sh", "r"),
    *(f"loadfile {BIN} 0x08000000", f"verifybin {BIN} 0x08000000", "r", "g", "exit"),
]
NRFUTIL_OPTIONS = "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM"
DFU_START = ["dfu-util", "--device", ",0483:df11", "--alt", "0"]
READ_BACK = "build/firmware.readback"


def dfu_util(*serial: str) -> List[List[str]]:
    return [
        TO_BIN,
        [*DFU_START, *serial, "--dfuse-address", "0x08000000", "--download", BIN],
        ["rm", "-f", READ_BACK],
        [*DFU_START, *serial, "--dfuse-address", "0x08000000:leave:SIZE", "--upload", READ_BACK],
        ["cmp", BIN, READ_BACK],
    ]


# (runner, serial number, commands)
COMMAND_LINES = [
    ("qemu", "", []),
    ("openocd", "", [[*OPENOCD_START, *OPENOCD_QUIET, *OPENOCD_END]]),
    (
        "openocd",
        "0669FF32",
        [[*OPENOCD_START, *OPENOCD_QUIET, "-c", "adapter serial 0669FF32", *OPENOCD_END]],
    ),
    (
        "pyocd",
        "",
        [
            TO_BIN,
            ["pyocd", "flash", *PYOCD_COMMON, *PYOCD_WRITE],
            ["pyocd", "commander", *PYOCD_COMMON, *PYOCD_COMPARE],
        ],
    ),
    (
        "pyocd",
        "0669FF32",
        [
            TO_BIN,
            ["pyocd", "flash", *PYOCD_COMMON, "--uid", "0669FF32", *PYOCD_WRITE],
            ["pyocd", "commander", *PYOCD_COMMON, "--uid", "0669FF32", *PYOCD_COMPARE],
        ],
    ),
    ("jlink", "", [TO_BIN, JLINK_SCRIPT, [*JLINK_START, *JLINK_END]]),
    ("jlink", "683012345", [TO_BIN, JLINK_SCRIPT, [*JLINK_START, "-USB", "683012345", *JLINK_END]]),
    ("st-flash", "", [TO_HEX, ["st-flash", "--reset", "--format", "ihex", "write", HEX]]),
    (
        "st-flash",
        "0669FF32",
        [TO_HEX, ["st-flash", "--reset", "--serial", "0669FF32", "--format", "ihex", "write", HEX]],
    ),
    (
        "stm32cubeprogrammer",
        "",
        [TO_HEX, ["STM32_Programmer_CLI", "--connect", "port=SWD", "--download", HEX, "--verify", "--rst"]],
    ),
    (
        "stm32cubeprogrammer",
        "0669FF32",
        [
            TO_HEX,
            [
                "STM32_Programmer_CLI",
                "--connect",
                "port=SWD",
                "sn=0669FF32",
                "--download",
                HEX,
                "--verify",
                "--rst",
            ],
        ],
    ),
    (
        "nrfutil",
        "",
        [TO_HEX, ["nrfutil", "device", "program", "--firmware", HEX, "--options", NRFUTIL_OPTIONS]],
    ),
    (
        "nrfutil",
        "1050012345",
        [
            TO_HEX,
            [
                "nrfutil",
                "device",
                "program",
                "--firmware",
                HEX,
                "--options",
                NRFUTIL_OPTIONS,
                "--serial-number",
                "1050012345",
            ],
        ],
    ),
    (
        "nrfjprog",
        "",
        [
            TO_HEX,
            ["nrfjprog", "--family", "NRF52", "--program", HEX, "--sectorerase", "--verify", "--reset"],
        ],
    ),
    (
        "nrfjprog",
        "001050012345",
        [
            TO_HEX,
            [
                "nrfjprog",
                "--family",
                "NRF52",
                "--program",
                HEX,
                "--sectorerase",
                "--verify",
                "--reset",
                "--snr",
                "1050012345",
            ],
        ],
    ),
    ("picotool", "", [["picotool", "load", "--verify", "--execute", ELF, "-t", "elf"]]),
    (
        "picotool",
        "E6614C",
        [["picotool", "load", "--verify", "--execute", ELF, "-t", "elf", "--ser", "E6614C"]],
    ),
    ("dfu-util", "", dfu_util()),
    ("dfu-util", "3468", dfu_util("--serial", ",3468")),
]


class TestCommandLines:
    @pytest.mark.parametrize(("runner", "serial_number", "commands"), COMMAND_LINES)
    def test_of_every_runner(
        self,
        make_project: MakeProject,
        no_tools: None,
        runner: str,
        serial_number: str,
        commands: List[List[str]],
    ) -> None:
        project = make_project(built=False)
        assert flash_commands(project, Attachment(runner=runner, serial_number=serial_number)) == commands

    def test_the_table_has_every_runner_with_and_without_a_serial_number(self) -> None:
        for name in RUNNERS:
            given = {bool(serial) for runner, serial, _ in COMMAND_LINES if runner == name}
            assert given == ({False} if name == "qemu" else {False, True}), name

    @pytest.mark.parametrize(
        ("runner", "entry", "words"),
        [
            ("openocd", {"config": ["a.cfg", "b.cfg"]}, ["-f", "a.cfg", "-f", "b.cfg", "-c"]),
            (
                "openocd",
                {"config": ["a.cfg"], "commands": ["adapter speed 100"]},
                ["-c", "adapter speed 100"],
            ),
            (
                "pyocd",
                {"target": "nrf52", "options": ["connect_mode=under-reset"]},
                ["connect_mode=under-reset"],
            ),
            (
                "jlink",
                {"device": "FE310", "interface": "JTAG", "speed_khz": 100},
                ["JTAG", "-JTAGConf", "-1,-1", "-Speed", "100"],
            ),
            ("st-flash", {"connect_under_reset": True}, ["--reset", "--connect-under-reset"]),
            ("stm32cubeprogrammer", {"connect": ["mode=UR"]}, ["port=SWD", "mode=UR", "--download"]),
            ("dfu-util", {"usb": "28e9:0189", "alt": 2}, [",28e9:0189", "--alt", "2"]),
        ],
    )
    def test_with_more_in_the_boards_entry(
        self, make_project: MakeProject, runner: str, entry: Dict[str, Any], words: List[str]
    ) -> None:
        commands = flash_commands(make_project({runner: entry}, runner=runner, built=False))
        said = " ".join(word for command in commands for word in command)
        assert " ".join(words) in said

    def test_a_bin_needs_to_know_where_it_begins(self, make_project: MakeProject) -> None:
        memory = {"flash": {"bytes": 4096}, "ram": {"bytes": 4096}}
        chipless = {"device_port": "host", "cpu": None, "uart": None, "memory": memory}
        project = make_project({"dfu-util": {"usb": "0483:df11"}}, runner="dfu-util", **chipless)
        with pytest.raises(BoardError, match=r"'memory\.flash\.address' is missing"):
            flash_commands(project)

    @pytest.mark.parametrize("serial_number", ["1; shutdown", "}", "a b", "$(id)", "-1\n"])
    def test_a_serial_number_is_no_place_for_commands(
        self, make_project: MakeProject, serial_number: str
    ) -> None:
        with pytest.raises(FlashError, match="is not a serial number"):
            flash_commands(make_project(built=False), Attachment(serial_number=serial_number))

    def test_of_the_emulator(self, make_project: MakeProject) -> None:
        runners = {
            "qemu": {
                "program": "qemu-system-riscv32",
                "machine": "virt",
                "cpu": "rv32",
                "arguments": ["-bios", "none"],
            }
        }
        board = make_project(runners, runner="qemu", built=False).board
        assert qemu.argv("build/firmware.elf", board, 7) == [
            *("qemu-system-riscv32", "-machine", "virt", "-cpu", "rv32", "-bios", "none"),
            *("-icount", "shift=8,align=off,sleep=on"),
            *("-display", "none", "-monitor", "none", "-parallel", "none"),
            *("-chardev", "socket,id=uart,fd=7", "-serial", "chardev:uart", "-kernel", ELF),
        ]

    @pytest.mark.parametrize("counts", [True, False])
    def test_of_an_emulator_counts_instructions_unless_the_entry_excludes_it(
        self, make_project: MakeProject, counts: bool
    ) -> None:
        entry = {**NUCLEO_RUNNERS["qemu"], "count_instructions": counts}
        board = make_project({"qemu": entry}, runner="qemu", built=False).board
        assert qemu.counts_instructions(board) is counts
        assert ("-icount" in qemu.argv("firmware.elf", board, 7)) is counts

    def test_of_an_emulator_in_real_time_may_set_another_rate(self, make_project: MakeProject) -> None:
        rate = ["-icount", "shift=3"]
        entry = {**NUCLEO_RUNNERS["qemu"], "count_instructions": False, "arguments": rate}
        board = make_project({"qemu": entry}, runner="qemu", built=False).board
        assert qemu.argv("firmware.elf", board, 7)[3:5] == rate

    def test_of_an_emulator_that_the_board_has_not(self, make_project: MakeProject) -> None:
        board = make_project({"openocd": {"config": ["a.cfg"]}}, built=False).board
        with pytest.raises(BoardError, match="Board nucleo has no emulator"):
            qemu.argv("firmware.elf", board, 7)


class TestChoice:
    @pytest.mark.parametrize(
        ("flash_command", "named", "generated_with", "program"),
        [
            (None, None, None, "openocd"),
            (None, None, "picotool", "picotool"),
            (None, "pyocd", "picotool", "pyocd"),
            (("own",), None, "picotool", "own"),
            (("own",), "custom", None, "own"),
            (("own",), "picotool", None, "picotool"),
        ],
    )
    def test_explicit_then_own_command_then_the_projects_then_the_boards(
        self,
        make_project: MakeProject,
        no_tools: None,
        flash_command: Optional[Sequence[str]],
        named: Optional[str],
        generated_with: Optional[str],
        program: str,
    ) -> None:
        project = make_project(None, flash_command, generated_with, built=False)
        commands = flash_commands(project, Attachment(runner=named))
        assert program in {command[0] for command in commands}

    @pytest.mark.parametrize(
        ("flash_command", "named", "generated_with", "programs"),
        [
            (["own"], None, None, []),
            (["own"], "custom", None, ["own"]),
            (["own"], None, "st-flash", ["own"]),
            (["own"], "qemu", "st-flash", []),
            ({"nucleo": ["own"]}, None, None, ["own"]),
            ({"nucleo": ["own"]}, "qemu", None, []),
        ],
    )
    def test_a_flash_command_is_not_run_for_an_emulated_board_unless_it_names_it(
        self,
        make_project: MakeProject,
        no_tools: None,
        flash_command: Any,
        named: Optional[str],
        generated_with: Optional[str],
        programs: List[str],
    ) -> None:
        runners = {"qemu": NUCLEO_RUNNERS["qemu"], "st-flash": {}}
        project = make_project(runners, flash_command, generated_with, built=False, runner="qemu")
        assert [command[0] for command in flash_commands(project, Attachment(runner=named))] == programs
        assert is_emulated(project, Attachment(runner=named)) == (not programs)

    def test_a_flash_command_is_not_run_for_a_process(self, make_project: MakeProject) -> None:
        project = make_project({}, ["own"], transport="process", runner=None)
        assert flash_commands(project) == []
        with pytest.raises(FlashError, match="runs as a process on this machine"):
            flash_commands(project, Attachment(runner="custom"))

    def test_a_board_without_a_runner_is_not_flashed(self, make_project: MakeProject) -> None:
        project = make_project({}, runner=None)
        assert flash_commands(project) == []
        flash(project)

    def test_an_emulated_board_is_not_flashed(self, make_project: MakeProject) -> None:
        project = make_project(runner="qemu")
        assert flash_commands(project) == []
        flash(project)

    @pytest.mark.parametrize("attached", [{"port": "/dev/ttyACM0"}, {"serial_number": "0669FF32"}])
    def test_a_real_board_whose_default_is_the_emulator_wants_a_runner(
        self, make_project: MakeProject, attached: Dict[str, Any]
    ) -> None:
        runners = {"qemu": NUCLEO_RUNNERS["qemu"], "st-flash": {}}
        with pytest.raises(FlashError) as caught:
            flash_commands(make_project(runners, runner="qemu"), Attachment(**attached))
        assert caught.value.next_step == "Select a runner that flashes the real board: st-flash."
        only_emulated = make_project({"qemu": NUCLEO_RUNNERS["qemu"]}, runner="qemu")
        with pytest.raises(FlashError, match="in the emulator only"):
            flash_commands(only_emulated, Attachment(**attached))

    def test_a_runner_that_the_board_has_not(self, make_project: MakeProject) -> None:
        with pytest.raises(FlashError) as caught:
            flash_commands(
                make_project({"openocd": {"config": ["a.cfg"]}, "st-flash": {}}), Attachment(runner="jlink")
            )
        assert caught.value.what == "Board 'nucleo' cannot be flashed with 'jlink'."
        assert caught.value.next_step == "Use one of: openocd, st-flash."

    def test_the_owners_command_must_be_there_when_it_is_named(self, make_project: MakeProject) -> None:
        with pytest.raises(FlashError, match="no flash command in microtvm_api_server"):
            flash_commands(make_project(), Attachment(runner="custom"))

    def test_a_firmware_must_be_there_to_be_flashed(self, make_project: MakeProject) -> None:
        with pytest.raises(FlashError, match="Build the project first"):
            flash(make_project(built=False))


class TestOwnCommand:
    def test_has_its_fields(self, make_project: MakeProject, tmp_path: Path) -> None:
        fields = ("{firmware}", "{project}", "{serial_number}", "{port}", "{baud_rate}")
        project = make_project(None, ("own", *fields), built=False)
        assert flash_commands(
            project, Attachment(serial_number="E0 1", port="/dev/ttyACM0", baud_rate=9600)
        ) == [["own", f"{tmp_path}/{ELF}", str(tmp_path), "E0 1", "/dev/ttyACM0", "9600"]]
        assert flash_commands(project)[0][3:] == ["", "", ""]

    def test_images_are_made_when_it_asks_for_them(self, make_project: MakeProject, tmp_path: Path) -> None:
        project = make_project(None, ("cp", "{hex}", "{bin}", "out"))
        assert flash_commands(project) == [
            TO_BIN,
            TO_HEX,
            ["cp", f"{tmp_path}/{HEX}", f"{tmp_path}/{BIN}", "out"],
        ]
        (tmp_path / "out").mkdir()
        flash(project)
        assert (tmp_path / "out" / "firmware.bin").read_bytes() == bytes.fromhex("0000022009000008")
        assert (tmp_path / "out" / "firmware.hex").read_text().startswith(":02000004")


class TestSchema:
    @pytest.mark.parametrize(
        ("runner", "entry", "what", "next_step"),
        [
            ("openocd", {}, "field 'runners.openocd.config' is missing.", "configuration files"),
            (
                "openocd",
                {"config": "a.cfg"},
                "is invalid: expected a list of strings, got 'a.cfg'.",
                "Set 'config' to a list of configuration files",
            ),
            (
                "openocd",
                {"config": []},
                "expected a list of at least one string, got [].",
                "Set 'config' to ",
            ),
            (
                "openocd",
                {"config": ["a.cfg"], "comands": []},
                "unknown field 'runners.openocd.comands'.",
                'Did you mean "commands"?',
            ),
            (
                "pyocd",
                {"target": 446},
                "'runners.pyocd.target' is invalid: expected a string",
                "pyocd list --targets",
            ),
            ("jlink", {"device": "X", "interface": "USB"}, "one of SWD, JTAG, got 'USB'.", "default is SWD"),
            (
                "jlink",
                {"device": "X", "speed_khz": -1},
                "an integer of 0 or more, got -1.",
                "default is 4000",
            ),
            ("st-flash", {"connect_under_reset": 1}, "expected true or false, got 1.", "sleeps"),
            (
                "nrfjprog",
                {"family": "nrf52"},
                "expected one of NRF51, NRF52, NRF53, NRF91, got 'nrf52'.",
                "Set 'family' to the chip's family",
            ),
            (
                "nrfutil",
                {"family": "NRF52"},
                "unknown field 'runners.nrfutil.family'.",
                "Set runners.nrfutil to {}",
            ),
            ("dfu-util", {"usb": "0483:DF11"}, 'expected a string such as "0483:df11"', "the USB id"),
            (
                "qemu",
                {"machine": "virt"},
                "field 'runners.qemu.program' is missing.",
                "Set 'program' to the emulator",
            ),
            (
                "qemu",
                {**NUCLEO_RUNNERS["qemu"], "count_instructions": "no"},
                "field 'runners.qemu.count_instructions' is invalid: expected true or false, got 'no'.",
                "Set 'count_instructions' to false for a board that runs in real time",
            ),
            (
                "qemu",
                {**NUCLEO_RUNNERS["qemu"], "arguments": ["-icount", "shift=3"]},
                "'runners.qemu.arguments' contains -icount, which count_instructions sets.",
                "Remove -icount and its value from arguments, or set count_instructions to false.",
            ),
        ],
    )
    def test_a_wrong_entry_is_refused_by_its_field(
        self, make_project: MakeProject, runner: str, entry: Dict[str, Any], what: str, next_step: str
    ) -> None:
        board = make_project({runner: entry}, runner=runner, built=False).board
        with pytest.raises(BoardError) as caught:
            read_entries(board)
        assert caught.value.what.startswith("boards.json: board 'nucleo': ")
        assert what in caught.value.what and next_step in caught.value.next_step

    def test_a_runner_that_nobody_knows(self, make_project: MakeProject) -> None:
        board = make_project({"opencod": {}}, runner="opencod", built=False).board
        with pytest.raises(BoardError) as caught:
            read_entries(board)
        assert 'Did you mean "openocd"?' in str(caught.value)

    @pytest.mark.parametrize("boards_json", BOARDS, ids=lambda path: path.parent.name)
    def test_the_boards_of_the_platforms_are_right(self, boards_json: Path) -> None:
        for board in load_boards(boards_json).values():
            read_entries(board)
            assert board.runner is None or board.runner in board.runners

    @pytest.mark.parametrize("boards_json", BOARDS, ids=lambda path: path.parent.name)
    def test_openocd_has_the_configurations_that_boards_name(self, boards_json: Path) -> None:
        assert missing_configs(boards_json) == []


# Output of the real tools, without a probe unless the comment states otherwise.
OPENOCD_BANNER = """Open On-Chip Debugger 0.12.0
Licensed under GNU GPL v2
For bug reports, read
\thttp://openocd.org/doc/doxygen/bugs.html
"""
OPENOCD_NO_STLINK = """srst_only separate srst_nogate srst_open_drain connect_deassert_srst

Info : clock speed 2000 kHz
Error: open failed
in procedure 'program'
** OpenOCD init failed **
shutdown command invoked
"""
OPENOCD_NO_FTDI = """Error: no device found
Error: unable to open ftdi device with vid 0403, pid 6010, description 'Dual RS232-HS', serial '*'
"""
OPENOCD_NO_CONFIG = """embedded:startup.tcl:28: Error: Can't find board/nosuch.cfg
in procedure 'script'
at file "embedded:startup.tcl", line 28
"""
ST_FLASH_NONE = "st-flash 1.7.0\n2026-02-22T00:07:04 WARN usb.c: Couldn't find any ST-Link devices\n"
DFU_UTIL_NONE = """dfu-util: Warning: Invalid DFU suffix signature
dfu-util: A valid DFU suffix will be required in a future dfu-util release
dfu-util: No DFU capable USB device available
"""
PYOCD_NONE = "No connected debug probes\n0000977 E No target device available [load_cmd]\n"
PYOCD_UNKNOWN = (
    "0000741 C Target type stm32f446retx not recognized. Use 'pyocd list --targets' to see currently "
    "available target types. [__main__]\n"
)
CUBE_BANNER = (
    "      -----------------------\n        STM32CubeProgrammer v2.17.0\n      ----------------------\n"
)
NRFJPROG_LOCKED = """[error] [ nRF52] - Access protection is enabled, can't read device version.
ERROR: The operation attempted is unavailable due to readback protection in
ERROR: your device. Please use --recover to unlock the device.
"""

LOCKED = "The chip is locked"
UNREACHED = "The debug probe gets no reply from the chip."
UNVERIFIED = "The flash contents differ from the firmware."
NOT_ALLOWED = "this user has no permission to open it"
KNOWN_FAILURES = [
    ("openocd", OPENOCD_BANNER + OPENOCD_NO_STLINK, "found no debug probe", "Plug the board's debug USB"),
    ("openocd", OPENOCD_BANNER + OPENOCD_NO_FTDI, "found no debug probe", "cable"),
    ("openocd", OPENOCD_BANNER + "Error: No J-Link device found\n", "found no debug probe", "cable"),
    ("openocd", "Error: unable to find a matching CMSIS-DAP device\n", "found no debug probe", "cable"),
    ("openocd", OPENOCD_BANNER + OPENOCD_NO_CONFIG, "cannot find a configuration file", "newer OpenOCD"),
    (
        "openocd",
        "Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\nError: open failed\n",
        NOT_ALLOWED,
        "udev",
    ),
    (
        "openocd",
        "Error: libusb_claim_interface() failed with LIBUSB_ERROR_BUSY\n",
        "in use",
        "Close the debugger",
    ),
    ("openocd", "Error: init mode failed (unable to connect to the target)\n", UNREACHED, "powered"),
    (
        "openocd",
        "Error: target voltage may be too low for reliable debugging\n",
        "no supply voltage",
        "powered",
    ),
    ("openocd", "Error: JTAG scan chain interrogation failed: all ones\n", UNREACHED, "powered"),
    ("openocd", "Error: Could not find MEM-AP to control the core\n", LOCKED, "nrfjprog --recover"),
    ("openocd", "Error: stm32x device protected\n** Programming Failed **\n", LOCKED, "level 0"),
    ("openocd", "Error: contents differ\n** Verify Failed **\n", UNVERIFIED, "Flash again"),
    ("openocd", "** Programming Failed **\n", "could not write the flash", "Unplug"),
    (
        "openocd",
        "Error: No flash bank found for address 0x10000000\n",
        "outside of the chip's flash",
        "memory.flash",
    ),
    ("openocd", 'Error: invalid subcommand "serial 12"\n', "too old", "0.12"),
    ("pyocd", PYOCD_NONE, "found no debug probe", "pyocd list"),
    ("pyocd", "No connected debug probe matches unique ID '123'\n", "found no debug probe", "serial number"),
    ("pyocd", PYOCD_UNKNOWN, "does not support the chip", "pyocd pack install"),
    (
        "pyocd",
        "0000265 W NRF52832 APPROTECT enabled: not automatically unlocking\n",
        LOCKED,
        "pyocd erase --mass",
    ),
    ("pyocd", "0001000 C No ACK received [__main__]\n", UNREACHED, "powered"),
    ("pyocd", "[Errno 13] Access denied (insufficient permissions)\n", NOT_ALLOWED, "udev"),
    ("pyocd", "0000900 C Error: Unable to claim interface for probe 0669\n", "in use", "Close the debugger"),
    (
        "pyocd",
        "Mismatched byte at 0x08000004 (offset 0x4): 0xff (memory) != 0x09 (file)\n",
        UNVERIFIED,
        "again",
    ),
    (
        "jlink",
        "Connecting to J-Link via USB...FAILED: Cannot connect to J-Link.\n",
        "No J-Link probe",
        "Plug",
    ),
    ("jlink", "VTref=0.000V\nCannot connect to target.\n", "no supply voltage", "powered"),
    ("jlink", "VTref=3.299V\nFailed to attach to CPU. Trying connect under reset.\n", UNREACHED, "powered"),
    ("jlink", "Active read protected STM32 device detected.\n", LOCKED, "erases all of its flash"),
    ("jlink", "Verify failed.\n", UNVERIFIED, "Flash again"),
    ("st-flash", ST_FLASH_NONE, "found no ST-Link probe", "st-info --probe"),
    (
        "st-flash",
        "WARN usb.c: Error -3 (Permission denied) opening ST-Link v2 device 001:004\n",
        NOT_ALLOWED,
        "udev",
    ),
    (
        "st-flash",
        "Stlink usb device found, but unable to claim (probably already in use?)\n",
        "in use",
        "Close the debugger",
    ),
    (
        "st-flash",
        "ERROR common.c: Can not connect to target. Please use 'connect under reset'\n",
        UNREACHED,
        "reset",
    ),
    ("st-flash", "ERROR common_flash.c: Flash memory is write protected\n", LOCKED, "RDP"),
    ("st-flash", "ERROR common.c: Verification of flash failed at offset: 8\n", UNVERIFIED, "Flash again"),
    ("stm32cubeprogrammer", CUBE_BANNER + "Error: No debug probe detected.\n", "no ST-Link probe", "--list"),
    ("stm32cubeprogrammer", CUBE_BANNER + "Error: No STM32 target found!\n", UNREACHED, "mode=UR"),
    ("stm32cubeprogrammer", CUBE_BANNER + "Error: failed to erase memory\n", LOCKED, "RDP"),
    (
        "stm32cubeprogrammer",
        "libusb: error [get_usbfs_fd] libusb couldn't open USB device /dev/bus/usb/001/004, errno=13\n",
        NOT_ALLOWED,
        "udev",
    ),
    ("nrfjprog", NRFJPROG_LOCKED, LOCKED, "--recover"),
    ("nrfjprog", "ERROR: Unable to connect to a debugger.\n", "No board with a J-Link", "Plug"),
    (
        "nrfutil",
        "Error: No devices with requested serial number(s) or trait(s) found.\n",
        "No board with a J-Link",
        "serial number",
    ),
    ("nrfutil", "Error: NOT_AVAILABLE_BECAUSE_PROTECTION\n", LOCKED, "nrfutil device recover"),
    (
        "picotool",
        "No accessible RP-series devices in BOOTSEL mode were found.\n",
        "No board in BOOTSEL",
        "button",
    ),
    (
        "picotool",
        "No accessible RP2040 devices in BOOTSEL mode were found.\n",
        "No board in BOOTSEL",
        "button",
    ),
    ("picotool", "ERROR: The device contents did not match the file\n", UNVERIFIED, "Flash again"),
    ("dfu-util", DFU_UTIL_NONE, "No board that runs its DFU boot loader", "BOOT0"),
    ("dfu-util", "dfu-util: Cannot open device 0483:df11: LIBUSB_ERROR_ACCESS\n", NOT_ALLOWED, "udev"),
    ("dfu-util", "dfu-util: More than one DFU capable USB device found!\n", "Several boards", "--list"),
    ("dfu-util", "dfu-util: Last page at 0x08100000 is not writeable\n", "cannot write", "memory.flash"),
    ("dfu-util", f"{BIN} {READ_BACK} differ: byte 5, line 1\n", UNVERIFIED, "Flash again"),
]


class TestKnownFailures:
    @pytest.mark.parametrize(("runner", "output", "what", "next_step"), KNOWN_FAILURES)
    def test_are_told_in_plain_words(self, runner: str, output: str, what: str, next_step: str) -> None:
        known = RUNNERS[runner].explain(output)
        assert known is not None and what in known.what and next_step in known.next_step

    @pytest.mark.parametrize("runner", [name for name in RUNNERS if name != "qemu"])
    def test_every_runner_knows_some(self, runner: str) -> None:
        assert runner in {row[0] for row in KNOWN_FAILURES}
        assert RUNNERS[runner].explain("everything is fine\n") is None


class TestRealTools:
    """Real tools without a probe: their failure is explained, and the log has their whole output."""

    @pytest.mark.parametrize(
        ("runner", "what", "said"),
        [
            ("openocd", "OpenOCD found no debug probe.", "Error: open failed"),
            ("st-flash", "st-flash found no ST-Link probe.", "Couldn't find any ST-Link devices"),
            ("dfu-util", "No board that runs its DFU boot loader was found.", "No DFU capable USB device"),
            ("pyocd", "pyOCD found no debug probe.", "No connected debug probe"),
        ],
    )
    @pytest.mark.parametrize("given", [False, True], ids=["any", "by its serial number"])
    def test_explain_that_there_is_no_probe(
        self, make_project: MakeProject, runner: str, what: str, said: str, given: bool
    ) -> None:
        runners = {**NUCLEO_RUNNERS, "pyocd": {"target": "cortex_m"}}
        serial_number = f"{os.getpid():08X}" if given else ""  # tests run in parallel
        with pytest.raises(FlashError) as caught:
            flash(make_project(runners), Attachment(runner=runner, serial_number=serial_number))
        assert caught.value.what == what
        assert said in caught.value.log and caught.value.log.startswith("$ ")

    def test_openocd_explains_a_configuration_that_it_has_not(self, make_project: MakeProject) -> None:
        with pytest.raises(FlashError, match="cannot find a configuration file"):
            flash(make_project({"openocd": {"config": ["board/no_such_board.cfg"]}}))


EMULATED = [
    pytest.param(board, id=board.name)
    for path in BOARDS
    for board in load_boards(path).values()
    if "qemu" in board.runners
]


class TestEmulators:
    @pytest.mark.parametrize("board", EMULATED)
    def test_start_without_a_warning_and_open_nothing_but_the_uart(
        self, board: Board, tmp_path: Path
    ) -> None:
        cpu = find_cpu(board.name, str(board.cpu))
        assert board.flash is not None and board.flash.address is not None
        flags = [*cpu.flags, "-mcmodel=medany"] if "riscv" in cpu.cross else cpu.flags
        link(tmp_path / "firmware.elf", f"{cpu.cross}gcc", flags, board.flash.address)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            argv = qemu.argv(tmp_path / "firmware.elf", board, theirs.fileno())
            ended = subprocess.run(
                [*argv, "-S", "-monitor", "stdio"],  # stopped before its first instruction
                input="info chardev\ninfo network\nquit\n",
                capture_output=True,
                text=True,
                pass_fds=(theirs.fileno(),),
                timeout=20,
                check=True,
            )
        assert "warning" not in ended.stderr and "error" not in ended.stderr
        opened = re.findall(r"^(\w+): filename=", ended.stdout, re.MULTILINE)
        assert set(opened) == {"uart", "compat_monitor0"}
        assert "hostfwd" not in ended.stdout


class TestRun:
    def test_the_image_is_made_before_the_tool_is_run(
        self, make_project: MakeProject, tool: Callable[[str, str], Path], tmp_path: Path
    ) -> None:
        tool("st-flash", 'echo "$@" > told; test -s build/firmware.hex && echo "Flash written and verified!"')
        flash(make_project(), Attachment(runner="st-flash"))
        assert (tmp_path / "told").read_text() == f"--reset --format ihex write {HEX}\n"

    def test_the_size_of_what_was_written_is_read_back(
        self, make_project: MakeProject, tool: Callable[[str, str], Path], tmp_path: Path
    ) -> None:
        tool("dfu-util", f'echo "$@" >> told; case "$*" in *--upload*) cp {BIN} {READ_BACK};; esac')
        flash(make_project(), Attachment(runner="dfu-util"))
        assert "--dfuse-address 0x08000000:leave:8 --upload" in (tmp_path / "told").read_text()
        tool("dfu-util", f'case "$*" in *--upload*) printf 12345678 > {READ_BACK};; esac')
        with pytest.raises(FlashError, match=UNVERIFIED):
            flash(make_project(), Attachment(runner="dfu-util"))

    def test_the_j_link_script_is_written(
        self, make_project: MakeProject, tool: Callable[[str, str], Path], tmp_path: Path
    ) -> None:
        tool("JLinkExe", "echo Verify successful.")
        flash(make_project(), Attachment(runner="jlink"))
        lines = (tmp_path / "build" / "firmware.jlink").read_text().splitlines()
        assert lines == ["r", f"loadfile {BIN} 0x08000000", f"verifybin {BIN} 0x08000000", "r", "g", "exit"]

    def test_success_without_a_verification_is_a_failure(
        self, make_project: MakeProject, tool: Callable[[str, str], Path]
    ) -> None:
        tool("openocd", "echo '** Programming Finished **'")
        with pytest.raises(FlashError, match="exited without reporting a verified firmware"):
            flash(make_project())

    @pytest.mark.parametrize(
        ("complaint", "tries"),
        [("LIBUSB_ERROR_BUSY", 2), ("Error: open failed", 1), ("something new", 1)],
    )
    def test_what_may_pass_by_itself_is_tried_once_more(
        self,
        make_project: MakeProject,
        tool: Callable[[str, str], Path],
        tmp_path: Path,
        complaint: str,
        tries: int,
    ) -> None:
        tool("openocd", f"echo try >> tries; echo {complaint}; exit 1")
        with pytest.raises(FlashError) as caught:
            flash(make_project())
        assert len((tmp_path / "tries").read_text().split()) == tries
        assert caught.value.log.count(complaint) == tries

    def test_a_busy_probe_that_comes_free_is_no_failure(
        self, make_project: MakeProject, tool: Callable[[str, str], Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        tool(
            "openocd",
            "test -e busy && echo '** Verified OK **' && exit; touch busy; echo resource busy; exit 1",
        )
        caplog.set_level("INFO", COMMANDS)
        flash(make_project())
        assert "resource busy" in caplog.text

    def test_an_unknown_failure_shows_exit_code_and_output(
        self, make_project: MakeProject, tool: Callable[[str, str], Path]
    ) -> None:
        tool("picotool", "echo something new; exit 9")
        with pytest.raises(FlashError) as caught:
            flash(make_project(), Attachment(runner="picotool"))
        assert "picotool exited with status 9: " in caught.value.what
        assert caught.value.log.endswith("something new\n")

    def test_a_tool_that_hangs_is_ended_with_its_children(
        self,
        make_project: MakeProject,
        tool: Callable[[str, str], Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(type(RUNNERS["openocd"]), "timeout_sec", 0.5)
        tool("openocd", "sleep 100 & echo $! > child; wait")
        with pytest.raises(FlashError, match="openocd did not exit within"):
            flash(make_project())
        status = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
        deadline = time.monotonic() + 5.0  # on a busy machine a killed process may run a little longer
        while status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_a_missing_tool_tells_how_to_install_it_and_what_else_would_do(
        self, make_project: MakeProject, tool: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tool("st-flash", "exit 0")
        monkeypatch.setenv("PATH", str(path.parent))
        monkeypatch.setattr(sys, "executable", str(path.parent / "python3"))
        project = make_project(built=False)
        project.firmware.parent.mkdir()
        project.firmware.touch()
        with pytest.raises(ToolMissing) as caught:
            flash(project)
        assert caught.value.what == "openocd is not installed; it is needed to flash the board."
        assert "apt-get install openocd" in caught.value.next_step
        assert "runner that is installed: st-flash. " in caught.value.next_step

    def test_a_tool_is_found_where_its_installer_puts_it_and_where_the_user_says(
        self, tool: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = tmp_path / "STMicroelectronics/STM32Cube/STM32CubeProgrammer/bin/STM32_Programmer_CLI"
        place.parent.mkdir(parents=True)
        tool("openocd", "").rename(place)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert RUNNERS["stm32cubeprogrammer"].find() == str(place)
        monkeypatch.setenv("OPENOCD", str(place))
        assert RUNNERS["openocd"].find() == str(place)
        monkeypatch.setenv("OPENOCD", str(tmp_path / "nowhere"))
        assert RUNNERS["openocd"].find() is None

    def test_a_board_that_somebody_else_flashes_is_left_alone(
        self, make_project: MakeProject, tool: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flash_module, "SAME_KIND_WAIT_SEC", 0.0)
        tool("openocd", "echo '** Verified OK **'")
        name = serial_number = f"nucleo_{os.getpid()}"  # tests run in parallel
        project = make_project(name=name)
        for lock, number in (
            (BoardLock(f"the board {name}"), ""),
            (serial_number_lock(serial_number), serial_number),
        ):
            with lock, pytest.raises(FlashError, match="is already open in this process"):
                flash(project, Attachment(serial_number=number))
            flash(project, Attachment(serial_number=number))
