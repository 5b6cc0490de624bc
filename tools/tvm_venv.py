# SPDX-License-Identifier: Apache-2.0
"""Creation of a virtual environment with a whole TVM, for the tests of tests/tvm.

Usage: python -m tools.tvm_venv FOLDER

It has the wheel of requirements-tvm.txt, on the first of CPython 3.10 and 3.8 that is installed. With neither
version no environment is created, and those tests are skipped with that reason.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.interpreters import find_python

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.8")


def main(folder: Path) -> int:
    """Create or recreate the environment; return the exit status."""
    python = next(filter(None, map(find_python, VERSIONS)), None)
    if python is None:
        print(f"note: CPython {' or '.join(VERSIONS)} not found; tests with a whole TVM are skipped.")
        return 0
    install = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    try:
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        # --no-deps: the file names all packages, at versions that are compatible.
        subprocess.run([*install, "--no-deps", "-r", str(ROOT / "requirements-tvm.txt")], check=True)
    except subprocess.CalledProcessError as error:
        print(f"error: {' '.join(map(str, error.cmd))} failed.", file=sys.stderr)
        print("next:  Check the network or pip's index, then run make again.", file=sys.stderr)
        return 1
    (folder / "ready").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
