# SPDX-License-Identifier: Apache-2.0
"""Several runs of tvmc with one import of TVM.

Usage: tvmc_lines.py

Each line of stdin is a JSON list with the arguments of one tvmc. A fork of this interpreter runs it, so that
no state of earlier lines remains. A line of stdout has its exit status and output.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from typing import IO, List

from runtime.host import tvm_micro
from runtime.host.commands import boards, serve, tvmc  # noqa: F401 (for the forks)

tvm_micro.enable()
import tvm.driver.tvmc.main  # noqa: E402, F401 (for the forks)

DEADLINE_SEC = 300  # long enough for a busy machine


def become_tvmc(arguments: List[str], *streams: IO[str]) -> None:
    """Run python -m runtime.host tvmc ARGUMENTS in a fork, which skips the shutdown of TVM that takes 2 s."""
    signal.alarm(DEADLINE_SEC)
    for number, file in enumerate(streams, start=1):
        os.dup2(file.fileno(), number)
    sys.argv[1:] = ["tvmc", *arguments]
    try:
        runpy.run_module("runtime.host", run_name="__main__", alter_sys=True)
    except SystemExit as end:  # multiprocessing of CPython 3.8 turns a missing status into 1
        sys.exit(0 if end.code is None else end.code)


for line in sys.stdin:
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        fork = multiprocessing.get_context("fork").Process(
            target=become_tvmc, args=(json.loads(line), stdout, stderr)
        )
        fork.start()
        fork.join()
        printed = {}
        for name, file in (("stdout", stdout), ("stderr", stderr)):
            file.seek(0)
            printed[name] = file.read()
    print(json.dumps({"returncode": fork.exitcode, **printed}), flush=True)
