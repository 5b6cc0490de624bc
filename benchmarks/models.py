# SPDX-License-Identifier: Apache-2.0
"""Nets from ONNX through today's TVM and through TVM 0.16, on an emulated Cortex-M4F.

Instructions of an inference, bytes of the arena, bytes of the model's code. TVM 0.16: AOT, planned memory,
without a tuning log.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional

from benchmarks.figures import Figure, figure
from benchmarks.platforms import ROOT, bake
from benchmarks.tvm_programs import report_of, tvm_python
from runtime.host.archive.model_archive import ModelArchive
from tests.compile.nets import NETS

BOARD: Final = "mps2_an386"
LIMITS: Final = {
    "digits": (65_656, 2_688, 1_812),
    "ds_kws16": (1_200_000, 28_096, 1_808),
    "resnet": (1_810_000, 34_944, 5_788),
}
"""Net -> most instructions, bytes of arena, bytes of code."""

COMPILER: Final = (
    "arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-O2", "-w",
)  # fmt: skip


class Cost(NamedTuple):
    """Cost of one net."""

    instructions: int
    arena: int
    code: int


def measure() -> List[Figure]:
    """Measure the nets of LIMITS, and how long a compilation takes."""
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        scratch = Path(name)
        platform = bake(scratch / "platform", board_family="cortex_m")
        for net in LIMITS:
            (scratch / f"{net}.onnx").write_bytes(NETS[net]().SerializeToString())
        today = {net: cost_of(platform, compiled_by(platform, scratch / f"{net}.onnx")) for net in LIMITS}
        before = _with_tvm_0_16(platform, scratch)
        figures = [row for net in LIMITS for row in _rows(net, today[net], before.get(net))]
        return [*figures, *_times(scratch)]


def _rows(net: str, today: Cost, before: Any) -> List[Figure]:
    rows = []
    for field, limit in zip(Cost._fields, LIMITS[net]):
        beside = f"TVM 0.16: {getattr(before, field):,}" if before else ""
        unit = "" if field == "instructions" else "B"
        rows.append(figure(f"{net}: {field}", unit, [getattr(today, field)], limit, beside=beside))
    return rows


def compiled_by(platform: Path, model: Path, archive: Optional[Path] = None) -> Path:
    """Compile a model file, and return its archive: by default next to the file."""
    archive = archive or model.with_suffix(".tar")
    _mtvm(platform, "compile", str(model), "-o", str(archive))
    return archive


def _with_tvm_0_16(platform: Path, scratch: Path) -> Dict[str, Cost]:
    """Return the cost of each net through the wheel of TVM 0.16; empty without that wheel."""
    python = tvm_python()
    if python is None:
        return {}
    archives = {net: scratch / f"{net}_0_16.tar" for net in LIMITS}
    pairs = [path for net, archive in archives.items() for path in (scratch / f"{net}.onnx", archive)]
    report_of(python, platform, "export_onnx.py", *pairs)
    return {net: cost_of(platform, archive) for net, archive in archives.items()}


def cost_of(platform: Path, archive: Path, board: str = BOARD) -> Cost:
    """Return the cost of a model archive on an emulated board."""
    document = json.loads(_mtvm(platform, "bench", str(archive), "--board", board, "--number", "1", "--json"))
    opened = ModelArchive.open(archive)
    arena = opened.static_workspace_bytes or opened.workspace_size_bytes
    return Cost(document["instructions_per_inference"], arena, _code_bytes(Path(document["project"])))


def _code_bytes(project: Path) -> int:
    """Return the bytes of code of a model's C files, without its constants."""
    include = f"-I{ROOT / 'runtime/device/include'}"
    total = 0
    for source in sorted((project / "model/codegen/host/src").glob("*_lib[1-9]*.c")):
        with tempfile.NamedTemporaryFile(suffix=".o") as made:
            subprocess.run([*COMPILER, include, "-c", str(source), "-o", made.name], check=True)
            sections = subprocess.run(
                ["arm-none-eabi-size", "-A", made.name], check=True, text=True, stdout=subprocess.PIPE
            ).stdout
        total += sum(map(int, re.findall(r"^\.text\S*\s+(\d+)", sections, re.MULTILINE)))
    return total


def _mtvm(platform: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, str(platform / "mtvm.py"), *arguments], check=True, text=True, stdout=subprocess.PIPE
    ).stdout


def _times(scratch: Path) -> List[Figure]:
    """Return the seconds of compilations after the import of TVM: with verification, and from the cache."""
    from runtime.host.compile import compile_model

    compile_model(scratch / "digits.onnx")  # imports TVM
    limits = (("digits", 1.0), ("resnet", 3.0))
    return [row for net, limit in limits for row in _times_of(scratch, net, limit)]


def _times_of(scratch: Path, net: str, limit: float) -> List[Figure]:
    from runtime.host.compile import compile_model
    from runtime.host.compile.stored import compiled_archive
    from runtime.host.system.cache import Cache

    model, cache = scratch / f"{net}.onnx", Cache(scratch / "cache")
    first = _seconds(lambda: compile_model(model))
    compiled_archive(model, cache=cache)
    again = _seconds(lambda: compiled_archive(model, cache=cache))
    return [
        figure(f"{net}: compile and verify", "s", first, limit),
        figure(f"{net}: from the cache", "s", again, 0.2),
    ]


def _seconds(run: Callable[[], object]) -> List[float]:
    """Return the seconds of five runs."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return seconds
