# SPDX-License-Identifier: Apache-2.0
"""Sets of inputs and outputs in .npz files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional, Tuple

import numpy as np
import pytest

from runtime.host.archive.tensor_sets import read_input_sets, read_output_sets
from runtime.host.archive.tensor_specs import TensorSpec
from runtime.host.errors import PlatformError


def spec(name: str, *shape: int, known: bool = True) -> TensorSpec:
    return TensorSpec(name, "float32", shape if known else None, 4 * int(np.prod(shape)), name)


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path / "t.npz", **arrays)
    return path / "t.npz"


@pytest.mark.parametrize(
    ("shape", "array", "count"),
    [
        ((1, 3), (1, 3), 1),
        ((1, 3), (1, 1, 3), 1),
        ((1, 3), (5, 3), 5),
        ((1, 3), (5, 1, 3), 5),
        ((2, 3), (2, 3), 1),
        ((2, 3), (4, 2, 3), 4),
        ((2, 3), (4, 3), None),
        ((2, 3), (6,), None),
        ((3,), (2, 3), 2),
        ((1,), (7,), 7),
        ((), (), 1),
        ((), (4,), 4),
        ((1, 3), (0, 3), None),
        ((1, 1, 3), (5, 5, 3), None),
    ],
)
def test_sets_are_counted(
    tmp_path: Path, shape: Tuple[int, ...], array: Tuple[int, ...], count: Optional[int]
) -> None:
    values = np.arange(int(np.prod(array)), dtype="float32").reshape(array)
    path = saved(tmp_path, x=values)
    if count is None:
        with pytest.raises(PlatformError, match="expected float32"):
            read_input_sets(path, [spec("x", *shape)])
        return
    sets = read_input_sets(path, [spec("x", *shape)])
    assert [one["x"].shape for one in sets] == [shape] * count
    assert np.concatenate([one["x"].ravel() for one in sets]).tolist() == values.ravel().tolist()


def test_only_the_size_is_known(tmp_path: Path) -> None:
    values = np.arange(12, dtype="float32")
    (one,) = read_output_sets(saved(tmp_path, y=values.reshape(3, 4)), [spec("y", 12, known=False)])
    assert one[0].shape == (3, 4)
    three = read_output_sets(saved(tmp_path, y=values.reshape(3, 4)), [spec("y", 4, known=False)])
    assert [list(each[0]) for each in three] == [list(values[at : at + 4]) for at in (0, 4, 8)]


def test_two_outputs_of_one_name_have_numbers_only(tmp_path: Path) -> None:
    specs = [spec("y", 1), spec("y", 1)]
    zero, one = np.zeros(1, "float32"), np.ones(1, "float32")
    assert read_output_sets(saved(tmp_path, output_0=zero, output_1=one, input_x=one), specs) == [[zero, one]]
    with pytest.raises(PlatformError, match="no output 'y'"):
        read_output_sets(saved(tmp_path, y=zero, output_1=one), specs)


def test_a_plain_array_has_no_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3, "float32"))
    with pytest.raises(PlatformError, match=r"expected an \.npz file"):
        read_input_sets(tmp_path / "x.npy", [spec("x", 3)])


def test_a_name_that_begins_like_the_other_side(tmp_path: Path) -> None:
    one = np.ones(3, "float32")
    sets = read_input_sets(saved(tmp_path, output_gate=one, output_0=one), [spec("output_gate", 3)])
    assert list(sets[0]) == ["output_gate"]
