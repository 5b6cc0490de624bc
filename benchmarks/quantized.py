# SPDX-License-Identifier: Apache-2.0
"""Quantized nets through today's TVM: the small nets in int8, and MLPerf Tiny.

Instructions of an inference on an emulated Cortex-M4F and Cortex-M3, bytes of the arena, bytes of the model's
code on the M4F. The small nets are quantized as `compile --calibrate` does it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Dict, Final, List, Tuple

import numpy as np

from benchmarks.figures import Figure, figure
from benchmarks.models import BOARD, Cost, compiled_by, cost_of
from benchmarks.platforms import ROOT, bake
from runtime.host.compile.calibration import calibrated
from runtime.host.compile.onnx_model import inputs_of
from tests.compile.nets import NETS

DATA: Final = ROOT / "tests/data/mlperf_tiny"
M3: Final = "mps2_an385"
SMALL: Final = {
    "digits": Cost(52_500, 680, 4_400),
    "ds_kws16": Cost(715_000, 2_816, 5_200),
    "resnet": Cost(1_235_000, 7_008, 7_800),
}
"""Net -> most instructions, bytes of arena, bytes of code."""

MLPERF: Final[Dict[str, Tuple[int, int]]] = {
    "kws_ref_model": (3_850_000, 8_500_000),
    "ad01_int8": (350_000, 750_000),
    "pretrainedResnet_quant": (17_000_000, 25_000_000),
    "vww_96_int8": (11_500_000, 22_000_000),
}
"""Net -> most instructions on the Cortex-M4F, and on the Cortex-M3."""

CALIBRATIONS: Final = 16


def measure() -> List[Figure]:
    """Measure the nets of SMALL and of MLPERF."""
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as name:
        scratch = Path(name)
        platform = bake(scratch / "platform", board_family="cortex_m")
        rows = [row for net in SMALL for row in _small(platform, scratch, net)]
        return [*rows, *(row for net in MLPERF for row in _mlperf(platform, scratch, net))]


def _small(platform: Path, scratch: Path, net: str) -> List[Figure]:
    model, random = NETS[net](), np.random.default_rng(0)
    sets = [
        {value.name: random.standard_normal(value.shape).astype("float32") for value in inputs_of(model)}
        for _ in range(CALIBRATIONS)
    ]
    path = scratch / f"{net}_int8.onnx"
    path.write_bytes(calibrated(model, sets).model.SerializeToString())
    cost = cost_of(platform, compiled_by(platform, path))
    return [
        figure(f"{net}, int8: {field}", "" if field == "instructions" else "B", [found], limit)
        for field, found, limit in zip(Cost._fields, cost, SMALL[net])
    ]


def _mlperf(platform: Path, scratch: Path, net: str) -> List[Figure]:
    archive = compiled_by(platform, DATA / f"{net}.tflite", scratch / f"{net}.tar")
    rows = []
    for board, core, limit in zip((BOARD, M3), ("Cortex-M4F", "Cortex-M3"), MLPERF[net]):
        cost = cost_of(platform, archive, board)
        beside = f"arena {cost.arena:,} B, code {cost.code:,} B" if board == BOARD else ""
        rows.append(figure(f"{net}: instructions, {core}", "", [cost.instructions], limit, beside=beside))
    return rows
