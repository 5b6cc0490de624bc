# SPDX-License-Identifier: Apache-2.0
"""usage: tune.py TRACKER_PORT KEY TRIALS: a stock tuner of AutoTVM with two trials at a time."""

import sys

import tvm
from common import micro, report
from trials import scale  # noqa: F401 (registers the template)
from tvm import autotvm


def main():
    tracker_port, key, count = sys.argv[1:]
    task = autotvm.task.create("tests/scale", args=(64,), target="c -keys=cpu -model=host")
    results = []
    autotvm.tuner.GridSearchTuner(task).tune(
        n_trial=int(count),
        measure_option=autotvm.measure_option(
            builder=autotvm.LocalBuilder(
                build_func=micro.autotvm_build_func,
                runtime=tvm.relay.backend.Runtime("crt", {"system-lib": True}),
            ),
            runner=autotvm.RPCRunner(
                *(key, "127.0.0.1", int(tracker_port)),
                n_parallel=2,
                number=1,
                repeat=1,
                cooldown_interval=0,
                module_loader=micro.AutoTvmModuleLoader("/no/such/template", {}),
            ),
        ),
        callbacks=[lambda _tuner, _inputs, measured: results.extend(measured)],
    )
    costs = [cost for result in results if not result.error_no for cost in result.costs]
    report(errors=[result.error_no for result in results], costs=costs, best=min(costs, default=0))


if __name__ == "__main__":
    main()
