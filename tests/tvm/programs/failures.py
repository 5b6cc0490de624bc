# SPDX-License-Identifier: Apache-2.0
"""Errors of TVM's sessions, and the processes that remain.

Usage: failures.py PLATFORM SCRATCH
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Optional, Tuple, Type

import tvm
from common import answers, archive, children, left, micro, report, sockets
from tvm.micro.transport import IoTimeoutError, TransportClosedError, TransportTimeouts

platform, scratch = sys.argv[1:]
path, graph, inputs, outputs = archive("archives/graph_c")
generated = micro.project.generate_project_from_mlf(platform, f"{scratch}/project", path, {})
generated.build()
del generated
found: Dict[str, Dict[str, Any]] = {}


class Case:
    """One session that must raise the named error. The report has the error's message."""

    def __init__(self, name: str, *expected: Type[BaseException], timeouts: Any = None) -> None:
        self.name = name
        self.expected = expected
        self.timeouts = timeouts

    def __enter__(self) -> Tuple[Any, Any]:
        project = micro.GeneratedProject.from_directory(f"{scratch}/project", {})
        self.sockets = sockets()
        self.started = time.monotonic()
        self.session = micro.Session(project.transport(), timeout_override=self.timeouts)
        self.session.__enter__()
        executor = micro.create_local_graph_executor(
            graph, self.session.get_system_lib(), self.session.device
        )
        assert answers(executor, inputs, outputs)
        self.started = time.monotonic()
        return self.session, executor

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> bool:
        seconds = time.monotonic() - self.started
        self.session.__exit__(kind, error, traceback)
        del self.session
        assert kind is not None and issubclass(kind, self.expected), (self.name, error)
        found[self.name] = {
            "text": str(error),
            "seconds": seconds,
            "all kinds": all(issubclass(kind, expected) for expected in self.expected),
            "left": left(),
            "sockets": sockets() - self.sockets,
        }
        return True


PATIENCE = TransportTimeouts(0.3, 2.0, 1.0)

with Case("killed", TransportClosedError, tvm.error.RPCError) as (_, executor):
    children("firmware")[0].kill()
    executor.run()

with Case("killed, then asked again", TransportClosedError, tvm.error.RPCError) as (_, executor):
    children("firmware")[0].kill()
    try:
        executor.run()
    except TransportClosedError:
        executor.run()

with Case("silent", IoTimeoutError, tvm.error.RPCSessionTimeoutError, timeouts=PATIENCE) as (_, executor):
    children("firmware")[0].suspend()
    executor.run()

with Case("refused", tvm.error.RPCError) as (session, _):
    session._rpc.get_function("tvm.contrib.random.random_fill")(1)

with Case("server killed", TransportClosedError, tvm.error.RPCError) as (_, executor):
    (server,) = [process for process in children() if "microtvm_api_server.py" in " ".join(process.cmdline())]
    server.kill()
    server.wait()  # until the device detects this end, it still replies
    executor.run()

other = micro.Session(micro.GeneratedProject.from_directory(f"{scratch}/project", {}).transport())
other.__enter__()
other_firmware = children("firmware")[0]
with Case("Ctrl-C", KeyboardInterrupt) as (_, executor):
    next(process for process in children("firmware") if process != other_firmware).suspend()
    other.__exit__(None, None, None)
    if os.fork() == 0:
        time.sleep(0.2)  # run() must be waiting; an earlier signal would reach only Python
        os.kill(os.getppid(), signal.SIGINT)
        os._exit(0)
    executor.run()
os.wait()

with Case("works again", ZeroDivisionError) as (_, executor):
    assert answers(executor, inputs, outputs)
    raise ZeroDivisionError

firmware = Path(scratch, "project", "build", "firmware")
firmware.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
project = micro.GeneratedProject.from_directory(f"{scratch}/project", {})
try:
    with micro.Session(project.transport(), timeout_override=PATIENCE):
        pass
except IoTimeoutError as error:
    found["no session"] = {"text": str(error), "left": left()}

report(**found)
