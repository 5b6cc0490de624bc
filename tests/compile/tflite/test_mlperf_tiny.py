# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny: the four int8 nets answer exactly as LiteRT does, on this machine and on emulated boards."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Final

import numpy as np
import pytest

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import CompiledModel, compile_model
from runtime.host.compile.native import run_natively
from runtime.host.execution.running_model import running_model
from tests.conftest import TEMPLATE, Baker
from tests.support.emulated import Family

DATA: Final = TEMPLATE / "tests/data/mlperf_tiny"
ARENAS: Final = {
    "kws_ref_model": 8_512,
    "ad01_int8": 512,
    "pretrainedResnet_quant": 52_416,
    "vww_96_int8": 55_360,
}
"""Net -> most bytes of the arena."""

BOARDS: Final = {
    "kws_ref_model": "mps2_an385",
    "ad01_int8": "mps2_an386",
    "pretrainedResnet_quant": "mps2_an505",
}
"""Net -> board on which it runs."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compiled() -> Dict[str, CompiledModel]:
    return {name: compile_model(DATA / f"{name}.tflite") for name in ARENAS}


@pytest.fixture(scope="module")
def cortex_m(bake_shared: Baker, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family("cortex_m", bake_shared, tmp_path_factory.mktemp("cortex_m"))


@pytest.mark.parametrize("name", ARENAS)
def test_it_answers_as_litert(compiled: Dict[str, CompiledModel], name: str) -> None:
    archive = ModelArchive.unpacked(compiled[name].archive)
    (given,), (made,) = archive.inputs, archive.outputs
    with np.load(DATA / f"{name}.npz") as data:
        found = run_natively(archive, [{given.name: x[None]} for x in data["x"]])
        np.testing.assert_array_equal([one[made.name][0] for one in found], data["xnn"])
    verified = compiled[name].verified
    assert verified is not None and verified.reference == "LiteRT"
    assert [difference.largest_error for difference in verified.differences] == [0.0]


@pytest.mark.parametrize("name", ARENAS)
def test_its_arena_is_as_small_as_it_was(compiled: Dict[str, CompiledModel], name: str) -> None:
    assert compiled[name].compiled.placement.arena_bytes <= ARENAS[name]


@pytest.mark.parametrize("name", BOARDS)
def test_it_answers_as_litert_on_a_board(
    compiled: Dict[str, CompiledModel], name: str, cortex_m: Family, tmp_path: Path
) -> None:
    compiled[name].save(tmp_path / "model.tar")
    project = cortex_m.build(BOARDS[name], tmp_path / "model.tar")
    with np.load(DATA / f"{name}.npz") as data, running_model(project) as executor:
        for x, expected in zip(data["x"], data["xnn"]):
            (answer,) = executor.infer({executor.inputs[0].name: x[None]})
            np.testing.assert_array_equal(answer[0], expected)
