# SPDX-License-Identifier: Apache-2.0
"""The chain from a model archive to its first result, as TVM goes it: through two API servers.

Timed: start of the platform's API server, generate_project, start of the project's API server, build, flash,
open_transport, session, one inference. The compiler's own time for the model's C files is measured apart
(the same commands, as many at once as there are processors) and shown beside.

empty cache: nothing was built before. warm cache: another model was. again: this very model was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from benchmarks.figures import Figure, figure
from benchmarks.platforms import ROOT, bake
from runtime.host.archive import ModelArchive
from runtime.host.client import ApiTransport, ProjectApiClient
from runtime.host.device import connected_executor
from runtime.host.tensors import read_inputs

MODELS = {name: ROOT / f"tests/data/models/{name}.tar" for name in ("mlp_f32_aot", "kws_i8_graph")}
OTHER_MODEL = ROOT / "examples/digits/digits_aot.tar"
# Seconds, less the compiler's time for the model; "again" is in all.
LIMITS: Dict[Tuple[str, str], float] = {
    ("make", "warm cache"): 0.35,
    ("cmake", "warm cache"): 0.7,
    ("make", "empty cache"): 1.2,
    ("cmake", "empty cache"): 1.6,
    ("make", "again"): 0.4,
    ("cmake", "again"): 0.4,
}
RUNS = 5


def measure(runs: int = RUNS) -> List[Figure]:
    """Every model, build system and state of the cache."""
    return list(_measure(runs))


def _measure(runs: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        scratch = Path(name)
        for build_system in ("make", "cmake"):
            platform = bake(scratch / build_system, build_system=build_system)
            caches = _prepare_caches(platform, scratch / f"{build_system}-caches")
            for model, archive in MODELS.items():
                for state in ("empty cache", "warm cache", "again"):
                    before = caches[state, model]
                    # The compiler is timed beside each run: a shared machine changes its speed by the minute.
                    own, whole = [], []
                    for _ in range(runs):
                        own.append(
                            0.0 if state == "again" else _compile_seconds(archive, scratch / "compile")
                        )
                        whole.append(
                            _chain(platform, archive, scratch / "project", scratch / "cache", before)
                        )
                    beside = f"in all {_median(whole):.2f} s"
                    if state != "again":
                        beside += f", the compiler's own {_median(own):.2f} s taken off"
                    yield figure(
                        f"{model}, {build_system}, {state}",
                        "s",
                        [seconds - compiler for seconds, compiler in zip(whole, own)],
                        LIMITS[build_system, state],
                        beside=beside,
                    )


def _median(seconds: List[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]


def _prepare_caches(platform: Path, directory: Path) -> Dict[Tuple[str, str], Path]:
    """Cache directories in each state, to be copied before each run."""
    empty = directory / "empty"
    empty.mkdir(parents=True)
    warm = directory / "warm"
    _chain(platform, OTHER_MODEL, directory / "project", warm, empty)
    caches: Dict[Tuple[str, str], Path] = {}
    for model, archive in MODELS.items():
        full = directory / f"full-{model}"
        _chain(platform, archive, directory / "project", full, warm)
        caches["empty cache", model] = empty
        caches["warm cache", model] = warm
        caches["again", model] = full
    return caches


def _chain(platform: Path, archive: Path, project: Path, cache: Path, cache_before: Path) -> float:
    """Seconds from the archive to its first result, starting with a copy of cache_before."""
    for directory in (project, cache):
        shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(cache_before, cache)
    os.environ["MICROTVM_CACHE_DIR"] = str(cache)
    started = time.perf_counter()
    with ProjectApiClient(platform) as server:
        server.server_info_query()
        server.generate_project(archive, project)
    with ProjectApiClient(project) as server:
        server.server_info_query()
        server.build({})
        server.flash({})
        transport = ApiTransport(server, {})
        transport.open()
        with connected_executor(ModelArchive.open(archive), transport) as executor:
            executor.infer(read_inputs((), executor.inputs))
            seconds = time.perf_counter() - started
        transport.close()
    return seconds


def _compile_seconds(archive: Path, directory: Path) -> float:
    """Wall time of the compiler for the model's C files, as many at once as there are processors."""
    shutil.rmtree(directory, ignore_errors=True)
    ModelArchive.open(archive).unpack(directory)
    include = ROOT / "runtime/device/include"
    flags = ["-std=gnu11", "-O2", "-fno-strict-aliasing", "-w"]
    flags += ["-ffunction-sections", "-fdata-sections", f"-I{include}"]
    commands = [
        ["cc", *flags, "-c", str(source), "-o", str(source.with_suffix(".o"))]
        for source in sorted(directory.glob("codegen/host/src/*.c"))
    ]
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(
            pool.map(lambda command: subprocess.run(command, check=True, stderr=subprocess.DEVNULL), commands)
        )
    return time.perf_counter() - started
