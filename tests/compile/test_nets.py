# SPDX-License-Identifier: Apache-2.0
"""Whole nets: the compiled C gives onnxruntime's answers, on this machine and on emulated boards."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Callable, Dict, Final, Iterable, List, Tuple

import numpy as np
import onnx
import onnxruntime
import pytest

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import CompiledModel, compile_model
from runtime.host.compile.native import run_natively
from runtime.host.execution.running_model import running_model
from runtime.host.execution.standalone_run import run_standalone
from tests.compile.nets import INPUT, NETS, SMALL
from tests.conftest import Baker
from tests.support.emulated import Family

SANITIZED: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BOARDS: Final = {
    "host": "host",
    "mps2_an385": "cortex_m",
    "mps2_an386": "cortex_m",
    "qemu_virt_rv32": "riscv",
}
QUICK: Final = ("digits", "activations", "mixed_images")
EVERY: Final = bool(os.environ.get("MICROTVM_EVERY_NET"))
"""Run each net on each board, and under sanitizers. By hand: it takes five minutes."""

PAIRS: Final = [
    (name, board)
    for index, name in enumerate(NETS)
    for place, board in enumerate(BOARDS)
    if EVERY or name == "digits" or index % len(BOARDS) == place
]

Net = Tuple[CompiledModel, np.ndarray, np.ndarray]


def limit(name: str) -> float:
    """Return the largest error, as a part of the largest output."""
    return 2e-6 if name in SMALL else 1e-4


def error_of(answer: np.ndarray, expected: np.ndarray) -> float:
    assert (answer.shape, answer.dtype) == (expected.shape, expected.dtype)
    return float(np.abs(answer - expected).max() / np.abs(expected).max())


def marked(names: Iterable[str]) -> List[object]:
    """Return nets as parameters; all but a few are slow."""
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


@pytest.fixture(scope="session")
def compiled() -> Callable[[str], Net]:
    """Return a function from the name of a net to its compiled form, one input and onnxruntime's answer."""
    made: Dict[str, Net] = {}

    def make(name: str) -> Net:
        if name not in made:
            model = NETS[name]()
            shape = [dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim]
            x = np.random.default_rng(len(name)).standard_normal(shape).astype("float32")
            session = onnxruntime.InferenceSession(model.SerializeToString())
            made[name] = compile_model(model), x, session.run(None, {INPUT: x})[0]
        return made[name]

    return make


@pytest.mark.parametrize("name", marked(NETS if EVERY else SMALL))
def test_it_answers_as_onnxruntime_under_sanitizers(compiled: Callable[[str], Net], name: str) -> None:
    model, x, expected = compiled(name)
    archive = ModelArchive.unpacked(model.archive)
    ((answer,),) = (list(found.values()) for found in run_natively(archive, [{INPUT: x}], SANITIZED))
    assert error_of(answer, expected) <= limit(name)


@pytest.mark.parametrize("name", marked(NETS))
def test_the_arena_is_within_three_percent_of_its_lower_bound(
    compiled: Callable[[str], Net], name: str
) -> None:
    placement = compiled(name)[0].compiled.placement
    assert placement.bound_bytes <= placement.arena_bytes <= 1.03 * placement.bound_bytes


@pytest.mark.slow
@pytest.mark.parametrize(("name", "board"), PAIRS)
def test_it_answers_on_a_board(
    compiled: Callable[[str], Net], families: Dict[str, Family], name: str, board: str, tmp_path: Path
) -> None:
    model, x, expected = compiled(name)
    model.save(tmp_path / "net.tar")
    build_system = ("make", "cmake")[(list(NETS).index(name) + list(BOARDS).index(board)) % 2]
    project = families[BOARDS[board]].build(board, tmp_path / "net.tar", build_system)
    with running_model(project) as executor:
        (answer,) = executor.infer({INPUT: x})
    assert error_of(answer, expected) <= limit(name)


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS if EVERY else ("host", "mps2_an386"))
def test_a_standalone_firmware_prints_the_answer(
    compiled: Callable[[str], Net], families: Dict[str, Family], board: str, tmp_path: Path
) -> None:
    model, x, expected = compiled("digits")
    model.save(tmp_path / "net.tar")
    np.save(tmp_path / "x.npy", x)
    project = families[BOARDS[board]].build(
        board, tmp_path / "net.tar", project_type="standalone", standalone_input=str(tmp_path / "x.npy")
    )
    line = re.search(r"^output output float32 10:(.*)$", run_standalone(project), re.MULTILINE)
    assert line is not None
    assert error_of(np.array(line[1].split(), "float32").reshape(expected.shape), expected) <= 1e-5


@pytest.fixture(scope="module")
def families(bake_shared: Baker, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Family]:
    return {name: Family(name, bake_shared, tmp_path_factory.mktemp(name)) for name in set(BOARDS.values())}


def test_the_same_model_gives_the_same_archive() -> None:
    model = NETS["digits"]()
    one, other = (compile_model(onnx.ModelProto.FromString(model.SerializeToString())) for _ in range(2))
    assert one.archive.data == other.archive.data
