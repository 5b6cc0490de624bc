# SPDX-License-Identifier: Apache-2.0
"""AutoTVM with all its processes on this machine.

Usage: local_runner.py PLATFORM TRIALS
"""

import sys

import numpy as np
import tvm
from common import micro, report
from tvm import autotvm, relay

platform, trials = sys.argv[1:]
x = relay.var("x", shape=(1, 4, 8, 8), dtype="int8")
w = relay.var("w", shape=(8, 4, 3, 3), dtype="int8")
y = relay.nn.conv2d(x, w, padding=(1, 1), kernel_size=(3, 3), channels=8, out_dtype="int32")
module = tvm.IRModule.from_expr(relay.Function([x, w], y))
options = {"tir.disable_vectorize": True}
with tvm.transform.PassContext(opt_level=3, config=options):
    tasks = autotvm.task.extract_from_program(
        module["main"], {"w": np.ones((8, 4, 3, 3), "int8")}, tvm.target.target.micro("host")
    )
results = []
autotvm.tuner.RandomTuner(tasks[0]).tune(
    n_trial=int(trials),
    measure_option=autotvm.measure_option(
        builder=autotvm.LocalBuilder(
            n_parallel=1,
            build_kwargs={"build_option": options},
            build_func=micro.autotvm_build_func,
            runtime=relay.backend.Runtime("crt", {"system-lib": True}),
        ),
        runner=autotvm.LocalRunner(
            number=1,
            repeat=1,
            timeout=60,
            module_loader=micro.AutoTvmModuleLoader(template_project_dir=platform, project_options={}),
        ),
    ),
    callbacks=[lambda _tuner, _inputs, measured: results.extend(measured)],
)
report(errors=[int(result.error_no) for result in results], costs=[str(result.costs) for result in results])
