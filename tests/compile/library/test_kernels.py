# SPDX-License-Identifier: Apache-2.0
"""Kernels of the library are exact: on this machine with sanitizers, and on emulated boards.

By hand: MICROTVM_KERNEL_CASES=10000 pytest tests/compile/library/test_kernels.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict, Final, List, Mapping, Sequence

import pytest

from runtime.host.boards.board import Board
from runtime.host.boards.table import load_boards
from tests.compile.library.programs import Case, batches, case_of, failures_on_board, failures_on_host
from tests.compile.library.random_operators import KINDS, Operator, random_operator
from tests.compile.library.special_operators import BEYOND, LARGE, SMALL
from tests.conftest import TEMPLATE

BY_HAND: Final = os.environ.get("MICROTVM_KERNEL_CASES", "")
"""Number of operators of each kind, on this machine and on each board."""

FIRST: Final = int(os.environ.get("MICROTVM_FIRST_SEED", "0"))
ON_HOST: Final = int(BY_HAND or 60)
TAKEN: Final = 0.85  # part of the operators, at least; kernels refuse few of the forms

BOARDS: Final[Dict[str, int]] = {
    "mps2_an386": 40,
    "mps3_an547": 20,
    "mps2_an385": 20,
    "qemu_virt_rv32": 20,
}
"""Board -> number of operators of each kind. The first two have the DSP extension."""

AT_ONCE: Final = 250  # cases in a program, so that a compilation takes seconds
MOST_BYTES: Final = 1 << 20  # of the tensors in a program


def cases_of(kinds: Sequence[str], count: int) -> List[Case]:
    """Return the cases of random operators, of which kernels take most."""
    seeds = range(FIRST, FIRST + count)
    cases = [case_of(random_operator(kind, seed)) for kind in kinds for seed in seeds]
    found = [case for case in cases if case is not None]
    assert len(found) >= TAKEN * len(cases), f"kernels take {len(found)} of {len(cases)} operators"
    return found


def special_cases(operators: Mapping[str, Operator]) -> List[Case]:
    """Return the cases of operators that kernels take."""
    cases = [case_of(operator._replace(label=label)) for label, operator in operators.items()]
    return [case for case in cases if case is not None]


def run_all(
    cases: Sequence[Case], most_bytes: int, failures: Callable[[Sequence[Case], int], List[str]]
) -> None:
    """Assert that no batch of the cases has a failure."""
    found: List[str] = []
    for number, batch in enumerate(batches(cases, AT_ONCE, most_bytes)):
        found += failures(batch, number)
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_are_exact_and_use_only_their_memory(kind: str, tmp_path: Path) -> None:
    run_all(
        cases_of([kind], ON_HOST),
        MOST_BYTES,
        lambda batch, number: failures_on_host(batch, tmp_path / str(number)),
    )


def test_special_operators_are_exact(tmp_path: Path) -> None:
    cases = special_cases({**SMALL, **LARGE})
    assert len(cases) == len(SMALL) + len(LARGE)
    assert failures_on_host(cases, tmp_path) == []


@pytest.mark.parametrize("label", BEYOND)
def test_operators_beyond_a_kernel_are_left_to_another_one_or_to_tvm(label: str, tmp_path: Path) -> None:
    cases = special_cases({label: BEYOND[label]})
    assert cases == [] or failures_on_host(cases, tmp_path) == []


def board_of(name: str) -> Board:
    tables = TEMPLATE.glob("*platform_slug*/families/*/boards.json")
    return next(boards[name] for boards in map(load_boards, tables) if name in boards)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOARDS)
def test_kernels_are_exact_on_boards(name: str, tmp_path: Path) -> None:
    board = board_of(name)
    assert board.flash_bytes is not None
    run_all(
        [*special_cases(SMALL), *cases_of(list(KINDS), int(BY_HAND or BOARDS[name]))],
        min(MOST_BYTES, board.flash_bytes // 2),
        lambda batch, number: failures_on_board(batch, board, tmp_path / str(number)),
    )


@pytest.mark.slow
def test_kernels_have_portable_code_for_a_processor_with_dsp(tmp_path: Path) -> None:
    cases = cases_of(list(KINDS), 8)
    assert failures_on_board(cases, board_of("mps2_an386"), tmp_path, is_portable=True) == []
