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
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tensor_files import read_inputs
from runtime.host.execution.running_model import connected_executor
from runtime.host.wire.api_client import ApiTransport, ProjectApiClient

MODELS = {name: ROOT / f"tests/data/models/{name}.tar" for name in ("mlp_f32_aot", "kws_i8_graph")}
OTHER_MODEL = ROOT / "examples/digits/digits_aot.tar"
# Board family -> build system and state of the cache -> seconds, less the compiler's time for the model;
# "again" is in all.
LIMITS: Dict[str, Dict[Tuple[str, str], float]] = {
    "host": {
        ("make", "warm cache"): 0.35,
        ("cmake", "warm cache"): 0.7,
        ("make", "empty cache"): 1.2,
        ("cmake", "empty cache"): 1.6,
        ("make", "again"): 0.4,
        ("cmake", "again"): 0.4,
    },
    "cortex_m": {  # its default board is emulated: an MPS2 with a Cortex-M3
        ("make", "warm cache"): 0.6,
        ("cmake", "warm cache"): 1.0,
        ("make", "empty cache"): 1.8,
        ("cmake", "empty cache"): 2.2,
    },
}
COMPILERS = {"host": ["cc"], "cortex_m": ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb"]}
RUNS = 5


def measure(runs: int = RUNS) -> List[Figure]:
    """Every model, build system and state of the cache."""
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
    """One row: the chain, with the compiler's own time for the model taken off unless with_compiler."""
    own, whole = [], []
    for _ in range(runs):
        # The compiler is timed beside each run: a shared machine changes its speed by the minute.
        own.append(0.0 if with_compiler else _compile_seconds(MODELS[model], compiler, scratch / "compile"))
        whole.append(_chain(platform, MODELS[model], scratch / "project", scratch / "cache", cache))
    beside = f"in all {_median(whole):.2f} s"
    if not with_compiler:
        beside += f", the compiler's own {_median(own):.2f} s taken off"
    return figure(what, "s", [seconds - less for seconds, less in zip(whole, own)], limit, beside=beside)


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


def _compile_seconds(archive: Path, compiler: List[str], directory: Path) -> float:
    """Wall time of the compiler for the model's C files, as many at once as there are processors."""
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
