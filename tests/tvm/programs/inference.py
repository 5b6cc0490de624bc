# SPDX-License-Identifier: Apache-2.0
"""Seconds of an inference through tvm.micro.Session, and of its kernels by a second device's clock.

Usage: inference.py PLATFORM SCRATCH NAME ROUNDS

Rounds of both alternate, so that a busy machine slows both.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from common import answers, archive, micro, report

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.execution.running_model import connected_executor
from runtime.host.transports.process import ProcessTransport

INFERENCES = 20

platform, scratch, name, rounds = sys.argv[1:]
path, graph, inputs, outputs = archive(name)
project = micro.project.generate_project_from_mlf(platform, f"{scratch}/project", path, {})
project.build()
project.flash()
sessions, devices = [], []
second = ProcessTransport([Path(scratch, "project", "build", "firmware")])
second.open()
try:
    with micro.Session(project.transport()) as session, connected_executor(
        ModelArchive.open(Path(path)), second
    ) as alone:
        executor = micro.create_local_graph_executor(graph, session.get_system_lib(), session.device)
        assert answers(executor, inputs, outputs)
        alone.infer(inputs)
        for _ in range(int(rounds)):
            times = []
            for _ in range(INFERENCES):
                started = time.perf_counter()
                for key, value in inputs.items():
                    executor.set_input(key, value)
                executor.run()
                answer = executor.get_output(0).numpy()
                times.append(time.perf_counter() - started)
            assert np.array_equal(answer, outputs[0])
            sessions.append(statistics.median(times))
            devices.append(statistics.median(alone.time_evaluator(1, INFERENCES)))
finally:
    second.close()
report(session=sessions, device=devices)
