# SPDX-License-Identifier: Apache-2.0
"""Results of AutoTVM's stock runner for candidates, some of which fail on purpose.

Usage: trials.py TRACKER_PORT KEY TIMEOUT_SEC OPTIONS NAME...

OPTIONS are project options as JSON. The program prints a line of JSON for each result, then one with all
results.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, List, Tuple

import tvm
from common import micro, report
from tvm import autotvm, te

FAULTS = {
    "good": "",
    "hangs": 'for (;;) __asm__ volatile("");',
    "crashes": "__builtin_trap();",
    "overruns": "for (volatile char* at = args;; at += 64) *at = 1;",
    "ends": "extern void exit(int); exit(3);",
    "does not compile": "this is not C;",
}
BODY = "void* resource_handle) {\n"


@autotvm.template("tests/scale")  # type: ignore[untyped-decorator]  # TVM has no types
def scale(n: int) -> Tuple[Any, List[Any]]:
    """Return a candidate: n numbers times 3, in a split loop."""
    x = te.placeholder((n,), name="x", dtype="int32")
    y = te.compute((n,), lambda i: x[i] * 3, name="y")
    schedule = te.create_schedule(y.op)
    config = autotvm.get_config()
    config.define_split("split", schedule[y].op.axis[0], num_outputs=2)
    config["split"].apply(schedule, y, schedule[y].op.axis[0])
    return schedule, [x, y]


def faulty(archive: Path, fault: str, path: Path) -> None:
    """Write a copy of the archive in which each kernel begins with the fault."""
    with tarfile.open(archive) as tar, tarfile.open(path, "w") as copy:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            data = file.read() if file else b""
            if member.name.endswith(".c"):
                data = data.replace(BODY.encode(), (BODY + FAULTS[fault]).encode())
            member.size = len(data)
            copy.addfile(member, io.BytesIO(data))


def main() -> None:
    tracker_port, key, timeout, options, *names = sys.argv[1:]
    task = autotvm.task.create("tests/scale", args=(64,), target="c -keys=cpu -model=host")
    builder = autotvm.LocalBuilder(
        build_func=micro.autotvm_build_func,
        runtime=tvm.relay.backend.Runtime("crt", {"system-lib": True}),
        n_parallel=1,
    )
    runner = autotvm.RPCRunner(
        *(key, "127.0.0.1", int(tracker_port)),
        timeout=int(timeout),
        n_parallel=1,
        number=2,
        repeat=3,
        cooldown_interval=0,
        module_loader=micro.AutoTvmModuleLoader("/no/such/template", json.loads(options)),
    )
    builder.set_task(task)
    runner.set_task(task)
    candidate = autotvm.MeasureInput(task.target, task, task.config_space.get(0))
    (built,) = builder.build([candidate])
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            path = Path(scratch) / "candidate.tar"
            faulty(built.filename, name, path)
            started = time.monotonic()
            (result,) = runner.run([candidate], [built._replace(filename=str(path))])
            found.append(
                {
                    "name": name,
                    "error": autotvm.MeasureErrorNo(result.error_no).name,
                    "message": str(result.costs[1]) if result.error_no else "",
                    "costs": [] if result.error_no else list(result.costs),
                    "seconds": time.monotonic() - started,
                }
            )
            print(json.dumps(found[-1]), flush=True)
    report(trials=found)


if __name__ == "__main__":
    main()
