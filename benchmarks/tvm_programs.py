# SPDX-License-Identifier: Apache-2.0
"""Programs of tests/tvm/programs, run in TVM's own interpreter."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Optional

from benchmarks.platforms import ROOT

PROGRAMS = ROOT / "tests/tvm/programs"


def tvm_python() -> Optional[str]:
    """Return the interpreter that MICROTVM_TVM_PYTHON names, or print a note and return None."""
    python = os.environ.get("MICROTVM_TVM_PYTHON", "")
    if Path(python).is_file():
        return python
    print("note: MICROTVM_TVM_PYTHON does not name a Python with TVM; benchmarks with TVM are skipped.")
    return None


def report_of(python: str, platform: Path, program: str, *arguments: object) -> Dict[str, Any]:
    """Run a program with the host tools of this platform, and return the report in its last line."""
    ran = subprocess.run(
        [python, str(PROGRAMS / program), *map(str, arguments)],
        cwd=platform,
        env={**os.environ, "PYTHONPATH": str(platform)},
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    report: Dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return report
