# SPDX-License-Identifier: Apache-2.0
"""Addition of a flash tool by the instructions in docs/how-to/add-a-runner.md alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Baker
from tests.support.additions import insert_after, run_command, run_tests, type_command
from tests.support.pages import changed_files, check_places, how_to, places_to_add, read_tree
from tests.support.repositories import copy_template

PAGE: Final = how_to("add-a-runner")
BOARD: Final = "nucleo_l4r5zi"  # no other test flashes it; flash commands lock a board by name
MODEL: Final = "models/digits_aot.tar"
SERIAL_NUMBER: Final = "HB0042"
INSTALL: Final = "Install it from the maker's web site, hexburn.example."

RUNNER: Final = '''# SPDX-License-Identifier: Apache-2.0
"""Flash tool hexburn, which writes Intel HEX."""

from __future__ import annotations

from typing import ClassVar, List

from runtime.host.boards.fields import Field, count
from runtime.host.runners import failures as known
from runtime.host.runners.base import Job, Runner


class HexBurn(Runner):
    """hexburn, which erases pages of `page_bytes`. Messages: hexburn 1.0."""

    name: ClassVar = "hexburn"
    tool: ClassVar = "hexburn"
    parameters: ClassVar = {"page_bytes": Field(count, True, "bytes of a flash page")}
    images: ClassVar = ("hex",)
    proof: ClassVar = r"\\d+ bytes verified"
    failures: ClassVar = (
        known.no_probe(r"E02 no probe", "hexburn found no probe."),
        known.several_devices(r"E03 \\d+ probes", "There are several hexburn probes"),
        known.verify_failed(r"E05 flash differs"),
    )

    def commands(self, tool: str, job: Job) -> List[List[str]]:
        argv = [tool, "--page", str(job.params["page_bytes"])]
        if job.serial_number:
            argv += ["--probe", job.serial_number]
        return [[*argv, "--write", job.image("hex")]]
'''
COMMAND_LINES: Final = """\
    ("hexburn", "", [TO_HEX, ["hexburn", "--page", "2048", "--write", HEX]]),
    ("hexburn", "AB12", [TO_HEX, ["hexburn", "--page", "2048", "--probe", "AB12", "--write", HEX]]),"""
KNOWN_FAILURES: Final = """\
    ("hexburn", "hexburn: E02 no probe on USB\\n", "hexburn found no probe", "cable"),
    ("hexburn", "hexburn: E05 flash differs\\n", UNVERIFIED, "Flash again"),"""


def add_runner(template: Path) -> None:
    """Follow the page, and the docstring of base.Runner that it names, step by step."""
    host = template / "runtime/host"
    (host / "runners/hexburn.py").write_text(RUNNER, encoding="utf-8")
    table = host / "runners/table.py"
    base = "from runtime.host.runners.base import Runner"
    insert_after(table, base, "from runtime.host.runners.hexburn import HexBurn")
    insert_after(table, "        DfuUtil(),", "        HexBurn(),")
    hint = json.dumps({"how": INSTALL})
    insert_after(host / "system/packages.json", '  "dfu-util": {"apt": "dfu-util"},', f'  "hexburn": {hint},')
    (platform,) = template.glob("*cookiecutter.platform_slug*")
    boards_json = platform / "families/cortex_m/boards.json"
    document = json.loads(boards_json.read_text(encoding="utf-8"))
    document["boards"][BOARD]["runners"]["hexburn"] = {"page_bytes": 2048}
    boards_json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    tests = template / "tests/runners/test_runners.py"
    insert_after(tests, '    "picotool": {},', '    "hexburn": {"page_bytes": 2048},')
    insert_after(tests, "COMMAND_LINES = [", COMMAND_LINES)
    insert_after(tests, "KNOWN_FAILURES = [", KNOWN_FAILURES)


def write_pages(template: Path) -> None:
    """Write the generated pages, as `make docs` does."""
    subprocess.run([sys.executable, "-m", "tools.docs"], cwd=template, check=True, stdout=subprocess.DEVNULL)


def install_hexburn(folder: Path) -> None:
    """Install the tool as an executable into a new folder."""
    folder.mkdir()
    program = folder / "hexburn"
    source = (Path(__file__).parent / "hexburn.py").read_text(encoding="utf-8")
    program.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    program.chmod(0o755)


@pytest.mark.slow
def test_a_module_and_its_rows_add_a_flash_tool(bake: Baker, tmp_path: Path) -> None:
    template = tmp_path / "template"
    parts = ("pyproject.toml", "tools", "DECISIONS.md", "tests/conftest.py", "tests/support", "tests/runners")
    copy_template(template, *parts, "tests/bakes")
    before = read_tree(template)
    add_runner(template)
    write_pages(template)
    check_places(changed_files(before, read_tree(template)), places_to_add("a flash tool", PAGE))
    tables = "hexburn or the_table_has_every_runner or every_field_of_a_board"
    run_tests(template, "tests/runners/test_runners.py", "tests/bakes/test_readme.py", "-k", tables)

    platform = bake(template=template, board_family="cortex_m").path
    flash = ["flash", MODEL, "-o", f"board={BOARD}", "--runner", "hexburn"]
    missing = run_command(platform, *flash)
    assert missing.returncode == 1
    assert "hexburn is not installed" in missing.stdout and INSTALL in plain(missing.stdout)

    install_hexburn(tmp_path / "bin")
    path = os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"]))
    probes = tmp_path / "probes"
    probes.mkdir()

    def typed(*words: str) -> str:
        return type_command(platform, *flash, *words, path=path, HEXBURN_PROBES=str(probes))

    command = f"--page 2048 --probe {SERIAL_NUMBER} --write build/firmware.hex"
    assert command in plain(typed("--dry-run", "--serial-number", SERIAL_NUMBER))

    failed = run_command(platform, *flash, path=path, HEXBURN_PROBES=str(probes))
    assert failed.returncode == 1
    assert "hexburn found no probe. " in plain(failed.stdout)
    assert "Plug the board's debug USB connector in" in plain(failed.stdout)

    chip = probes / f"{SERIAL_NUMBER}.flash"
    chip.touch()
    (probes / "HB0007.flash").touch()
    several = run_command(platform, *flash, path=path, HEXBURN_PROBES=str(probes))
    assert several.returncode == 1 and "Choose one with --serial-number" in plain(several.stdout)

    typed("--serial-number", SERIAL_NUMBER)
    image = firmware_of(platform)
    assert chip.read_bytes()[: len(image)] == image
    assert (probes / "HB0007.flash").read_bytes() == b""


def plain(printed: str) -> str:
    """Return printed output as one line, because the console breaks lines."""
    return " ".join(printed.split())


def firmware_of(platform: Path) -> bytes:
    """Return the content of the flash that the only project's firmware describes."""
    (elf,) = platform.glob("projects/*/build/firmware.elf")
    binary = elf.with_suffix(".bin")
    objcopy = ("arm-none-eabi-objcopy", "-O", "binary", "--gap-fill", "0xff")
    subprocess.run([*objcopy, str(elf), str(binary)], check=True)
    return binary.read_bytes()
