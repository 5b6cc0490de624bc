# SPDX-License-Identifier: Apache-2.0
"""usage: tvmc_lines.py: runs tvmc as often as it is told, and imports TVM once.

Each line of stdin is a JSON list, the arguments of one tvmc. A fork of this interpreter runs it, which finds
nothing of the lines before. A line of stdout answers with its status and with what it printed.
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

DEADLINE_SEC = 300  # for a machine that does much else


def become_tvmc(arguments: List[str], *streams: IO[str]) -> None:
    """In a fork: python -m runtime.host tvmc ARGUMENTS. It ends without taking TVM apart, which takes 2 s."""
    signal.alarm(DEADLINE_SEC)
    for number, file in enumerate(streams, start=1):
        os.dup2(file.fileno(), number)
    sys.argv[1:] = ["tvmc", *arguments]
    try:
        runpy.run_module("runtime.host", run_name="__main__", alter_sys=True)
    except SystemExit as end:  # of which multiprocessing of CPython 3.8 makes status 1 when it has no status
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
