# SPDX-License-Identifier: Apache-2.0
"""Stock tuner of AutoTVM with one trial per board at a time.

Usage: tune.py TRACKER_PORT KEY TRIALS BOARDS

The program reports the seconds of each batch and their sum, without the first batch, which starts TVM's
workers.
"""

from __future__ import annotations

import sys
import time
from typing import Any, List

import tvm
from common import micro, report
from trials import scale  # noqa: F401 (registers the template)
from tvm import autotvm


def main() -> None:
    tracker_port, key = sys.argv[1:3]
    count, boards = map(int, sys.argv[3:])
    task = autotvm.task.create("tests/scale", args=(5040,), target="c -keys=cpu -model=host")
    results, moments = [], []

    def measured(_tuner: object, _inputs: object, batch: List[Any]) -> None:
        results.extend(batch)
        moments.append(time.monotonic())

    autotvm.tuner.GridSearchTuner(task).tune(
        n_trial=boards + count,
        measure_option=autotvm.measure_option(
            builder=autotvm.LocalBuilder(
                build_func=micro.autotvm_build_func,
                runtime=tvm.relay.backend.Runtime("crt", {"system-lib": True}),
                n_parallel=boards,
                do_fork=True,
            ),
            runner=autotvm.RPCRunner(
                *(key, "127.0.0.1", int(tracker_port)),
                n_parallel=boards,
                number=1,
                repeat=1,
                cooldown_interval=0,
                module_loader=micro.AutoTvmModuleLoader("/no/such/template", {}),
            ),
        ),
        callbacks=[measured],
    )
    costs = [cost for result in results if not result.error_no for cost in result.costs]
    report(
        errors=[result.error_no for result in results],
        costs=costs,
        best=min(costs, default=0),
        seconds=[later - earlier for earlier, later in zip(moments, moments[1:])],
        wall=moments[-1] - moments[0],
    )


if __name__ == "__main__":
    main()
