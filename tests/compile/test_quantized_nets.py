# SPDX-License-Identifier: Apache-2.0
"""Whole nets as onnxruntime quantizes them: right on this machine and on emulated boards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict, Final, List, Tuple

import numpy as np
import pytest

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import CompiledModel, compile_model
from runtime.host.compile.native import run_natively
from runtime.host.execution.running_model import running_model
from tests.compile.nets import INPUT, NETS, OUTPUT
from tests.compile.quantized import KINDS, quantized
from tests.compile.test_nets import BOARDS, SANITIZED
from tests.conftest import Baker
from tests.support.emulated import Family

EVERY: Final = bool(os.environ.get("MICROTVM_EVERY_NET"))
"""Verify each net in each kind, and run it on each board. By hand: it takes ten minutes."""

USUAL: Final = ("digits", "ds_kws16", "resnet", "unet", "attention")
QUICK: Final = ("digits",)
DEFAULT_KIND: Final = "int8_channels"
MOST_ARENA_BYTES: Final = {"digits": 680, "ds_kws16": 7_024, "resnet": 8_736}
BUILD_SYSTEMS: Final = ("make", "cmake")

KIND_PAIRS: Final = [
    pytest.param(name, kind, marks=() if name in QUICK else pytest.mark.slow)
    for index, name in enumerate(NETS if EVERY else USUAL)
    for place, kind in enumerate(KINDS)
    if EVERY or name in QUICK or index % len(KINDS) == place
]

BOARD_PAIRS: Final[List[Tuple[str, str, str]]] = [
    (name, board, build_system)
    for name in (NETS if EVERY else QUICK)
    for place, board in enumerate(BOARDS)
    for at, build_system in enumerate(BUILD_SYSTEMS)
    if EVERY or place % len(BUILD_SYSTEMS) == at
]

Make = Callable[..., CompiledModel]


@pytest.fixture(scope="module")
def compiled() -> Make:
    """Return a function from the name of a net and a kind to its compiled form."""
    made: Dict[Tuple[str, str], CompiledModel] = {}

    def make(name: str, kind: str = DEFAULT_KIND) -> CompiledModel:
        if (name, kind) not in made:
            made[name, kind] = compile_model(quantized(NETS[name](), kind))
        return made[name, kind]

    return make


@pytest.fixture(scope="module")
def families(bake_shared: Baker, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Family]:
    return {name: Family(name, bake_shared, tmp_path_factory.mktemp(name)) for name in set(BOARDS.values())}


def sample_of(model: CompiledModel) -> np.ndarray:
    (spec,) = ModelArchive.unpacked(model.archive).inputs
    return np.random.default_rng(7).standard_normal(spec.shape or ()).astype("float32")


@pytest.mark.parametrize(("name", "kind"), KIND_PAIRS)
def test_it_is_verified_with_onnxruntime(compiled: Make, name: str, kind: str) -> None:
    verified = compiled(name, kind).verified
    assert verified is not None and verified.sets >= 4
    assert [found.wrong for found in verified.differences] == [0]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in (NETS if EVERY else MOST_ARENA_BYTES)
    ],
)
def test_it_has_the_same_answer_under_sanitizers(compiled: Make, name: str) -> None:
    archive = ModelArchive.unpacked(compiled(name).archive)
    sample = {INPUT: sample_of(compiled(name))}
    plain, sanitized = (run_natively(archive, [sample], flags)[0][OUTPUT] for flags in ((), SANITIZED))
    assert np.array_equal(plain, sanitized)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MOST_ARENA_BYTES]
)
def test_the_arena_holds_integers(compiled: Make, name: str) -> None:
    assert compiled(name).compiled.placement.arena_bytes <= MOST_ARENA_BYTES[name]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "board", "build_system"), BOARD_PAIRS)
def test_a_board_has_the_answer_of_this_machine(
    compiled: Make, families: Dict[str, Family], name: str, board: str, build_system: str, tmp_path: Path
) -> None:
    model = compiled(name)
    x = sample_of(model)
    expected = run_natively(ModelArchive.unpacked(model.archive), [{INPUT: x}])[0][OUTPUT]
    model.save(tmp_path / "net.tar")
    project = families[BOARDS[board]].build(board, tmp_path / "net.tar", build_system)
    with running_model(project) as executor:
        (answer,) = executor.infer({INPUT: x})
    np.testing.assert_allclose(answer.reshape(expected.shape), expected, rtol=1e-6, atol=1e-6)
