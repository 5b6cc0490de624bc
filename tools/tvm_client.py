# SPDX-License-Identifier: Apache-2.0
"""usage: python tools/tvm_client.py FOLDER

Puts TVM's own client.py and server.py of the Project API into FOLDER, for the tests and benchmarks that run
them beside ours. They come out of a pinned wheel of a real TVM; nothing of it is part of this repository.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "hhb-tvm==3.2.3"
# Any interpreter may fetch it: two of its Python files are read, and nothing is installed.
FOR = ["--python-version", "3.10", "--implementation", "cp"]
FOR += ["--abi", "cp310", "--platform", "manylinux1_x86_64"]
FILES = ("server.py", "client.py")  # client.py last: the Makefile takes it for a sign that both are there


def main(folder: Path) -> int:
    """Fetch the wheel and take the files out; the exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += [*FOR, "--no-deps", "--only-binary=:all:", "--dest", scratch, WHEEL]
        if subprocess.run(command, check=False).returncode != 0:
            print(f"error: pip could not download {WHEEL}", file=sys.stderr)
            print("next:  check the network or pip's index, then run make again", file=sys.stderr)
            return 1
        (wheel,) = Path(scratch).glob("*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as files:
            for name in FILES:
                (folder / name).write_bytes(files.read(f"tvm/micro/project_api/{name}"))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
