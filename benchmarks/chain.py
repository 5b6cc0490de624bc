# SPDX-License-Identifier: Apache-2.0
"""Seconds from a model archive to its first result, in TVM's way through two API servers.

Timed steps: start of the platform's API server, generate_project, start of the project's API server, build,
flash, open_transport, session, one inference. The compiler's time for the model's C files is measured
separately with the same commands, one per processor in parallel, and shown in the remark.

States of the cache: "empty cache" before any build, "warm cache" after a build of another model, "again"
after a build of this model.
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
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tensor_files import read_inputs
from runtime.host.execution.running_model import connected_executor
from runtime.host.wire.api_client import ApiTransport, ProjectApiClient

MODELS = {name: ROOT / f"tests/data/models/{name}.tar" for name in ("mlp_f32_aot", "kws_i8_graph")}
OTHER_MODEL = ROOT / "examples/digits/digits_aot.tar"
# Board family -> build system and state of the cache -> limit in seconds, without the compiler's time for the
# model. The limit of "again" includes that time.
LIMITS: Dict[str, Dict[Tuple[str, str], float]] = {
    "host": {
        ("make", "warm cache"): 0.35,
        ("cmake", "warm cache"): 0.7,
        ("make", "empty cache"): 1.2,
        ("cmake", "empty cache"): 1.6,
        ("make", "again"): 0.4,
        ("cmake", "again"): 0.4,
    },
    "cortex_m": {  # the default board is emulated: an MPS2 with a Cortex-M3
        ("make", "warm cache"): 0.6,
        ("cmake", "warm cache"): 1.0,
        ("make", "empty cache"): 1.8,
        ("cmake", "empty cache"): 2.2,
    },
}
COMPILERS = {"host": ["cc"], "cortex_m": ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb"]}
RUNS = 5


def measure(runs: int = RUNS) -> List[Figure]:
    """Measure every model, build system and state of the cache."""
    return list(_measure(runs))


def _measure(runs: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        scratch = Path(name)
        for family, limits in LIMITS.items():
            for build_system in ("make", "cmake"):
                place = scratch / f"{family}-{build_system}"
                platform = bake(place / "platform", board_family=family, build_system=build_system)
                caches = _prepare_caches(platform, place)
                for model in MODELS:
                    for state in ("empty cache", "warm cache", "again"):
                        if (build_system, state) in limits:
                            yield _chains(
                                f"{family}, {model}, {build_system}, {state}",
                                *(runs, platform, model, COMPILERS[family], place),
                                caches[state, model],
                                limits[build_system, state],
                                with_compiler=state == "again",
                            )


def _chains(
    what: str,
    runs: int,
    platform: Path,
    model: str,
    compiler: List[str],
    scratch: Path,
    cache: Path,
    limit: float,
    with_compiler: bool,
) -> Figure:
    """Measure one row.

    Args:
        what: Label of the row.
        runs: Number of runs.
        platform: Directory of the platform.
        model: Key of MODELS.
        compiler: Compiler command for the model's C files.
        scratch: Directory for the project and the caches.
        cache: Cache directory to start from.
        limit: Largest accepted median, in seconds.
        with_compiler: Include the compiler's time for the model.
    """
    own, whole = [], []
    for _ in range(runs):
        # Time the compiler before each run, because a shared machine changes its speed within minutes.
        own.append(0.0 if with_compiler else _compile_seconds(MODELS[model], compiler, scratch / "compile"))
        whole.append(_chain(platform, MODELS[model], scratch / "project", scratch / "cache", cache))
    beside = f"{_median(whole):.2f} s in total"
    if not with_compiler:
        beside += f", of which {_median(own):.2f} s of the compiler were subtracted"
    return figure(what, "s", [seconds - less for seconds, less in zip(whole, own)], limit, beside=beside)


def _median(seconds: List[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]


def _prepare_caches(platform: Path, directory: Path) -> Dict[Tuple[str, str], Path]:
    """Prepare a cache directory for each state and model. Each run works on a copy."""
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
    """Measure the seconds from the archive to its first result, starting with a copy of cache_before."""
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


def _compile_seconds(archive: Path, compiler: List[str], directory: Path) -> float:
    """Measure the compiler's wall time for the model's C files, one file per processor in parallel."""
    shutil.rmtree(directory, ignore_errors=True)
    ModelArchive.open(archive).unpack(directory)
    include = ROOT / "runtime/device/include"
    flags = ["-std=gnu11", "-O2", "-fno-strict-aliasing", "-w"]
    flags += ["-ffunction-sections", "-fdata-sections", f"-I{include}"]
    commands = [
        [*compiler, *flags, "-c", str(source), "-o", str(source.with_suffix(".o"))]
        for source in sorted(directory.glob("codegen/host/src/*.c"))
    ]
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(
            pool.map(lambda command: subprocess.run(command, check=True, stderr=subprocess.DEVNULL), commands)
        )
    return time.perf_counter() - started
