# SPDX-License-Identifier: Apache-2.0
"""Overhead of an inference over the device's compute time, with the wire client in this process.

An inference is set_input of every input, run, and get_output of every output. The device's clock measures the
compute time of the kernels (time_evaluator). Rounds of both alternate, so that a busy machine slows both.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Callable, Dict, List

import numpy

from benchmarks.figures import Figure, figure
from benchmarks.platforms import ROOT, bake
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.execution.create_executor import create_executor
from runtime.host.execution.executor import Executor
from runtime.host.transports.process import ProcessTransport
from runtime.host.wire.api_client import ProjectApiClient
from runtime.host.wire.rpc import RpcClient
from runtime.host.wire.session import Session

MODELS = ROOT / "tests" / "data" / "models"

# Archive -> milliseconds that its inference may take in addition to the device's compute time.
LIMITS_MS: Dict[str, float] = {"kws_i8_graph": 3.0, "mlp_f32_aot": 0.5}


def measure(rounds: int = 20, inferences: int = 20) -> List[Figure]:
    """Measure for each archive: an inference, the device's compute time, their difference, a round trip.

    Times are in milliseconds, those of round trips in microseconds.
    """
    figures: List[Figure] = []
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        platform = bake(Path(name) / "platform")
        for model, limit in LIMITS_MS.items():
            figures += _measure_model(platform, Path(name) / model, model, limit, rounds, inferences)
    return figures


def _measure_model(
    platform: Path, project: Path, model: str, limit: float, rounds: int, inferences: int
) -> List[Figure]:
    archive = MODELS / f"{model}.tar"
    with ProjectApiClient(platform) as server:
        server.generate_project(archive, project)
    with ProjectApiClient(project) as server:
        server.build()
    with numpy.load(MODELS / f"{model}.npz") as example:
        inputs = {key[len("input_") :]: example[key] for key in example.files if key.startswith("input_")}
    transport = ProcessTransport([project / "build" / "firmware"])
    transport.open()
    try:
        session = Session(transport)
        session.open()
        rpc = RpcClient(session)
        executor = create_executor(rpc, ModelArchive.open(archive))
        round_trip = rpc.get_function("tvm.rpc.server.GetCRTMaxPacketSize").prepare()
        wall, compute, trips = [], [], []
        for _ in range(rounds + 1):  # the first round warms up
            wall.append(1e3 * _typical_seconds(lambda: executor.infer(inputs), inferences))
            compute.append(1e3 * median(executor.time_evaluator(1, inferences)))
            trips.append(1e6 * _typical_seconds(round_trip, 10 * inferences))
    finally:
        transport.close()
    beside = [seconds - own for seconds, own in zip(wall, compute)]
    return [
        figure(f"{model}: inference", "ms", wall[1:]),
        figure(f"{model}: compute time of the device", "ms", compute[1:]),
        figure(f"{model}: overhead", "ms", beside[1:], limit, beside=_messages(executor)),
        figure(f"{model}: one round trip", "us", trips[1:]),
    ]


def _typical_seconds(action: Callable[[], object], times: int) -> float:
    """Return the median wall time of the action, in seconds."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _messages(executor: Executor) -> str:
    return f"{executor.round_trips} round trips"
