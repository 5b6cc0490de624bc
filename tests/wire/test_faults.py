# SPDX-License-Identifier: Apache-2.0
"""Sessions over a faulty serial line: no wrong result, no hang, and the next session works.

`python -m benchmarks faults` runs a thousand of each kind.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from tests.support.faults import KINDS, Bench, Fault, FaultyBoard, Line, draw_faults
from tests.support.firmware import build_firmware, compile_runtime

ARCHIVE = Path(__file__).resolve().parents[1] / "data" / "archives" / "aot_c.tar"
SESSIONS = 40


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("faults")
    firmware = build_firmware(ARCHIVE, compile_runtime(directory / "runtime"), directory)
    with FaultyBoard(firmware, directory) as board:
        yield Bench(ARCHIVE, firmware, board)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_named_or_does_no_harm(bench: Bench, kind: str) -> None:
    tally = bench.run(kind, SESSIONS)
    assert tally.failures == []
    assert tally.right + sum(tally.named.values()) == tally.sessions == SESSIONS
    assert tally.named  # the faults had an effect
    if kind == "delayed":  # some delays are within the session's timeouts
        assert tally.right


def passed(faults: List[Fault], *pieces: bytes) -> Tuple[bytes, List[str]]:
    """Return the bytes that a line passes on, and the faults that the board must apply."""
    line = Line()
    line.set_faults(faults)
    through, done = b"", []
    for piece in pieces:
        for data, fault in line.feed(piece):
            through += data
            done += [fault.kind] if fault else []
    assert line.passed == sum(map(len, pieces))
    return through, done


class TestTheLineItself:
    @pytest.mark.parametrize(
        ("faults", "through"),
        [
            ([], b"abcdefgh"),
            ([Fault("dropped", True, 2, 1)], b"abdefgh"),
            ([Fault("dropped", True, 1, 2)], b"adefgh"),
            ([Fault("dropped", True, 0, 1), Fault("dropped", True, 7, 1)], b"bcdefg"),
            ([Fault("flipped", True, 3, 0)], b"abcefegh"[:3] + b"eefgh"),
            ([Fault("doubled", True, 2, 2)], b"abcdcdefgh"),
            ([Fault("cut off", True, 5, 1)], b"abcde"),
        ],
    )
    def test_each_fault_where_it_was_placed(self, faults: List[Fault], through: bytes) -> None:
        assert passed(faults, b"abcdefgh") == (through, [])
        assert passed(faults, b"abcd", b"efgh") == (through, [])

    def test_what_is_done_to_the_board(self) -> None:
        assert passed([Fault("reset", True, 3, 1)], b"abcd", b"efgh") == (b"abcdefgh", ["reset"])

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_same_seed_does_the_same_harm(self, kind: str) -> None:
        drawn = [
            [draw_faults(kind, generator, (100, 50)) for _ in range(20)]
            for generator in (random.Random(1), random.Random(1))
        ]
        assert drawn[0] == drawn[1]
        assert all(fault.offset < (100 if fault.to_device else 50) for faults in drawn[0] for fault in faults)
        assert {fault.to_device for faults in drawn[0] for fault in faults} == {True, False}
