# SPDX-License-Identifier: Apache-2.0
"""Steps of make and CI before the first test: system packages, TVM's files, the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.conftest import TEMPLATE
from tools import demo_venv, tvm_client

PACKAGES = TEMPLATE / "tools" / "system-packages.sh"
# Programs that the script and the stubs run.
HELPERS = ("sh", "env", "mktemp", "rm", "cut", "touch", "cp")
# A program that succeeds if a file in $INSTALLED exists for each package that it needs.
STUB = """#!/bin/sh
[ "$1" != -dumpversion ] || {{ echo {version}; exit 0; }}
case "$*" in {cases} *) wants="{wants}" ;; esac
for package in $wants; do [ -e "$INSTALLED/$package" ] || exit 1; done
"""
# Installs all its arguments. The package clang comes with its program.
APT_GET = """#!/bin/sh
for package in "$@"; do touch "$INSTALLED/$package"; done
if [ -e "$INSTALLED/clang" ]; then cp "$STUBS/clang" "$BIN/clang"; fi
"""

RISCV = ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf")
# Emulators and flash tools, present or absent.
PRESENT = ("qemu-system-arm", "qemu-system-riscv32", "openocd", "st-flash", "dfu-util", "zsh", "fish")


class Machine:
    """PATH of stubs for a machine with exactly these packages installed."""

    def __init__(self, directory: Path, *installed: str) -> None:
        self.bin, self.stubs, self.installed = (directory / name for name in ("bin", "stubs", "installed"))
        for path in (self.bin, self.stubs, self.installed):
            path.mkdir()
        for helper in HELPERS:
            found = shutil.which(helper)
            assert found is not None
            (self.bin / helper).symlink_to(found)
        for package in installed:
            (self.installed / package).touch()
        sanitizers = '*-fsanitize*) wants="{}" ;;'
        for name, version, wants, cases in (
            ("cc", "12", "gcc libc6-dev", ""),
            ("gcc", "12", "gcc libc6-dev", sanitizers.format("libgcc-12-dev")),
            ("c++", "", "g++", ""),
            ("arm-none-eabi-gcc", "12.2.1", "gcc-arm-none-eabi libnewlib-arm-none-eabi", ""),
            ("riscv64-unknown-elf-gcc", "", " ".join(RISCV), ""),
            ("python3", "", "python3-venv", ""),
            ("make", "", "", ""),
            ("git", "", "", ""),
            ("cmake", "", "", ""),
            *((name, "", "", "") for name in PRESENT),
        ):
            self.stub(self.bin / name, STUB.format(version=version, wants=wants, cases=cases))
        cases = sanitizers.format("libclang-rt-14-dev")
        self.stub(self.stubs / "clang", STUB.format(version="14.0.6", wants="clang", cases=cases))
        if "clang" in installed:
            shutil.copy(self.stubs / "clang", self.bin)
        self.stub(self.bin / "id", "#!/bin/sh\necho 0\n")

    def stub(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def has_apt_get(self) -> None:
        self.stub(self.bin / "apt-get", APT_GET)

    def prepare(self, purpose: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": str(self.bin),
            "BIN": str(self.bin),
            "STUBS": str(self.stubs),
            "INSTALLED": str(self.installed),
        }
        return subprocess.run(
            ["sh", str(PACKAGES), purpose],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


COMPLETE = (
    *("gcc", "g++", "libc6-dev", "libgcc-12-dev", "python3-venv", "clang", "libclang-rt-14-dev"),
    *("gcc-arm-none-eabi", "libnewlib-arm-none-eabi"),
    *RISCV,
)


def without(*packages: str) -> List[str]:
    return [package for package in COMPLETE if package not in packages]


class TestSystemPackages:
    def test_a_machine_that_has_all_is_left_alone(self, tmp_path: Path) -> None:
        done = Machine(tmp_path, *COMPLETE).prepare("test")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.parametrize(
        ("lacking", "named"),
        [
            ("libc6-dev", "gcc libc6-dev"),
            ("libgcc-12-dev", "libgcc-12-dev"),
            ("python3-venv", "python3-venv"),
            ("libnewlib-arm-none-eabi", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
            ("picolibc-riscv64-unknown-elf", " ".join(RISCV)),
            ("libclang-rt-14-dev", "libclang-rt-14-dev"),
        ],
    )
    def test_a_library_that_a_compiler_lacks_is_named(self, tmp_path: Path, lacking: str, named: str) -> None:
        """Simulate an installed compiler without its library; only a compilation detects this."""
        done = Machine(tmp_path, *without(lacking)).prepare("test")
        assert done.returncode == 1
        assert done.stderr.splitlines()[0] == f"error: missing: {named} (names of Debian packages)"

    def test_a_demo_wants_no_more_than_a_compiler(self, tmp_path: Path) -> None:
        done = Machine(tmp_path, "gcc", "libc6-dev", "python3-venv").prepare("demo")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_what_only_an_installed_compiler_tells_is_installed_after_it(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path, *without("clang", "libclang-rt-14-dev"))
        machine.has_apt_get()
        done = machine.prepare("test")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == ["installing: clang", "installing: libclang-rt-14-dev"]


def test_a_wheel_that_is_not_whole_leaves_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check a damaged wheel: the Makefile tests only for client.py."""

    def download(command: List[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        wheel = Path(command[command.index("--dest") + 1]) / "tvm.whl"
        with zipfile.ZipFile(wheel, "w") as files:
            files.writestr("tvm/micro/project_api/client.py", "")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", download)
    with pytest.raises(KeyError, match=r"server\.py"):
        tvm_client.main(tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_ci_tells_the_tests_that_nothing_may_be_skipped(tmp_path: Path) -> None:
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "make $1, CI=$CI"\n')
    make.chmod(0o755)
    environment: Dict[str, str] = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [str(TEMPLATE / ".ci" / "run")],
        env={**environment, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["make demo, CI=1", "make test, CI=1"]


class TestDemo:
    def test_the_reason_of_pip_is_one_sentence(self) -> None:
        lines = [
            "ERROR: Could not find a version",
            "ERROR: No matching distribution found for apache-tvm==0.27",
        ]
        assert demo_venv.reason(lines) == "No matching distribution found for apache-tvm==0.27."
        assert demo_venv.reason([]) == "pip failed."

    def test_it_installs_what_compiles_an_onnx_file(self) -> None:
        names = {pin.split("==")[0] for pin in demo_venv.pins_of_compile()}
        assert names == {"apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime"}

    @pytest.mark.parametrize("status", [0, 1])
    def test_it_succeeds_without_tvm(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int
    ) -> None:
        (tmp_path / "packages").touch()
        monkeypatch.setattr(demo_venv, "install", lambda *_words: (status, ["ERROR: No wheel."]))
        assert demo_venv.main(tmp_path) == 0
        assert (tmp_path / "ready").exists() == (status == 0)
        assert ("pip cannot install TVM: No wheel. The demo uses" in capsys.readouterr().out) == (status == 1)
