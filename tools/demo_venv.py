# SPDX-License-Identifier: Apache-2.0
"""Creation of the virtual environment of `make demo`, with a line per step.

Usage: python3 -m tools.demo_venv FOLDER

The environment has the packages of the demo at the versions of requirements.txt, and those that compile an
ONNX file. Where pip cannot install the latter, the demo uses an archive that was compiled before: the program
prints the reason and succeeds. Only a complete environment gets the file `ready`, so that make tries again.

This file needs only the standard library.
"""

from __future__ import annotations

import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Final, List, Tuple

from runtime.host.compile.packages import PACKAGES, TESTED_PYTHON

ROOT: Final = Path(__file__).resolve().parents[1]
PINS: Final = ROOT / "requirements.txt"
COMPILE: Final = ROOT / "{{cookiecutter.platform_slug}}" / "requirements-compile.txt"
OF_DEMO: Final = ("cookiecutter", "click", "rich", "numpy", "pyserial")
SHOWN: Final = ("Downloading ", "Using cached ", "Installing collected packages")
LARGE: Final = " MB"
WITHOUT: Final = "The demo uses the archive that was compiled before."


def main(folder: Path) -> int:
    """Create the environment if it does not exist, complete it, and return the exit status."""
    started = time.monotonic()
    python = folder / "bin" / "python"
    stamp = folder / "packages"
    if not stamp.exists() or stamp.stat().st_mtime < PINS.stat().st_mtime:
        print("Creating a virtual environment for the demo", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        print(f"Installing {', '.join(OF_DEMO)}", flush=True)
        status, lines = install(python, list(OF_DEMO))
        if status != 0:
            print("\n".join(lines[-10:]), file=sys.stderr)
            print("error: pip did not install the packages of the demo.", file=sys.stderr)
            print("next:  Check the network or pip's index, then run make again.", file=sys.stderr)
            return 1
        stamp.touch()
    first, last = (".".join(map(str, version)) for version in TESTED_PYTHON)
    if not TESTED_PYTHON[0] <= sys.version_info[:2] <= TESTED_PYTHON[1]:
        print(f"TVM is tested on CPython {first} to {last}, and this is {sys.version.split()[0]}. {WITHOUT}")
        return 0
    wanted = pins_of_compile()
    print(f"Installing {', '.join(dict.fromkeys(pin.split('==')[0] for pin in wanted))}", flush=True)
    status, lines = install(python, ["--only-binary=:all:", *wanted])
    if status != 0:
        print(f"pip cannot install TVM: {reason(lines)} {WITHOUT}")
        return 0
    print(f"Installed in {time.monotonic() - started:.0f} s", flush=True)
    (folder / "ready").touch()
    return 0


def pins_of_compile() -> List[str]:
    """Return the lines of requirements-compile.txt without which no ONNX file is compiled."""
    lines = [line.split("#")[0].strip() for line in COMPILE.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line.split("==")[0] in PACKAGES]


def install(python: Path, arguments: List[str]) -> Tuple[int, List[str]]:
    """Install packages, and print a line for each large download.

    Args:
        python: Interpreter of the environment.
        arguments: Packages, and options of `pip install`.

    Returns:
        Exit status of pip, and its lines.
    """
    argv = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]
    lines = []
    with subprocess.Popen(
        [*argv, "-c", str(PINS), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in map(str.strip, pip.stdout):
            lines.append(line)
            if line.startswith(SHOWN[:2]) and LARGE in line:
                print(f"  {line}", flush=True)
            elif line.startswith(SHOWN[2]):
                print(f"  Installing {line.count(',') + 1} packages", flush=True)
    return pip.returncode, lines


def reason(lines: List[str]) -> str:
    """Return pip's last error in one sentence."""
    errors = [line.partition("ERROR: ")[2] for line in lines if line.startswith("ERROR: ")]
    return f"{errors[-1].rstrip('.')}." if errors else "pip failed."


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
