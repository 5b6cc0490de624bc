# SPDX-License-Identifier: Apache-2.0
"""Memory plan: no two buffers in use overlap, and the arena of a net is close to the lower bound."""

from __future__ import annotations

import random
from typing import Dict, Final, List, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.host.compile import memory_plan, skyline
from runtime.host.compile.memory_plan import Buffer, Plan, check_plan, plan
from runtime.host.errors import HostToolsFault
from tests.support.life_times import FAMILIES, random_net

quick = settings(max_examples=50, deadline=None, derandomize=True)  # the smallest plan is not guaranteed


@st.composite
def life_times(draw: st.DrawFn, max_size: int = 24, largest: int = 400) -> List[Buffer]:
    """Return buffers of which many may take over an earlier one, also with conditions that do not hold."""
    buffers: List[Buffer] = []
    for number in range(draw(st.integers(0, max_size))):
        first = draw(st.integers(0, 8))
        last = first + draw(st.sampled_from([0, 0, 1, 1, 2, 3, 6]))
        ending = [other.name for other in buffers if other.last == first]
        others = [None, *ending, *ending, *(other.name for other in buffers[:2])]
        size = draw(st.one_of(st.integers(0, largest), st.sampled_from([0, 1, 16, 64])))
        buffers.append(Buffer(f"b{number}", size, first, last, draw(st.sampled_from(others))))
    return draw(st.permutations(buffers))


def rounded(size_bytes: int, alignment: int) -> int:
    return (size_bytes + alignment - 1) // alignment * alignment


def may_overlap(one: Buffer, other: Buffer, offsets: Dict[str, int]) -> bool:
    """Return whether the rules let two buffers share memory, from their sizes without rounding."""
    return offsets[one.name] == offsets[other.name] and any(
        taker.reuses == given.name and given.last == taker.first and taker.size_bytes <= given.size_bytes
        for taker, given in ((one, other), (other, one))
    )


def overlapping(buffers: Sequence[Buffer], offsets: Dict[str, int]) -> List[str]:
    """Return the pairs of buffers that use one byte in one step without a permission."""
    found = []
    for number, one in enumerate(buffers):
        for other in buffers[:number]:
            steps = set(range(one.first, one.last + 1)) & set(range(other.first, other.last + 1))
            start = max(offsets[one.name], offsets[other.name])
            end = min(offsets[one.name] + one.size_bytes, offsets[other.name] + other.size_bytes)
            if steps and start < end and not may_overlap(one, other, offsets):
                found.append(f"{one.name} {other.name}")
    return found


def smallest(buffers: Sequence[Buffer]) -> int:
    """Return the size of the smallest arena, for an alignment of 1: every offset of every buffer is tried."""
    order = sorted(buffers, key=lambda buffer: -buffer.size_bytes)
    offsets: Dict[str, int] = {}

    def fits(number: int, size: int) -> bool:
        if number == len(order):
            return True
        for offset in range(size - order[number].size_bytes + 1):
            offsets[order[number].name] = offset
            pairs = overlapping([order[number]], offsets) or [
                pair for other in order[:number] for pair in overlapping([other, order[number]], offsets)
            ]
            if not pairs and fits(number + 1, size):
                return True
        return False

    size = 0
    while not fits(0, size):
        size += 1
    return size


@quick
@given(buffers=life_times(), alignment=st.sampled_from([1, 4, 16, 24]))
def test_buffers_in_use_have_their_own_aligned_places(buffers: List[Buffer], alignment: int) -> None:
    planned = plan(buffers, alignment)
    assert set(planned.offsets) == {buffer.name for buffer in buffers}
    wide = [buffer._replace(size_bytes=rounded(buffer.size_bytes, alignment)) for buffer in buffers]
    assert not overlapping(wide, planned.offsets)
    assert all(offset % alignment == 0 <= offset for offset in planned.offsets.values())
    assert planned.size_bytes == max(
        (planned.offsets[buffer.name] + buffer.size_bytes for buffer in wide), default=0
    )
    assert planned.bound_bytes <= planned.size_bytes


@quick
@given(buffers=life_times())
def test_a_plan_depends_on_its_arguments_only(buffers: List[Buffer]) -> None:
    first = plan(buffers, 16)
    random.seed(len(buffers))  # the state of the global generator has no effect
    assert plan(list(buffers), 16) == first


@quick
@given(buffers=life_times(max_size=6, largest=6))
def test_a_plan_of_a_few_buffers_is_the_smallest_one(buffers: List[Buffer]) -> None:
    small = [buffer._replace(size_bytes=min(buffer.size_bytes, 6)) for buffer in buffers]
    planned = plan(small, 1)
    best = smallest(small)
    assert planned.bound_bytes <= best  # the bound is a true one
    assert planned.size_bytes == best


@pytest.mark.parametrize(
    ("buffers", "size_bytes", "bound_bytes"),
    [
        pytest.param([], 0, 0, id="empty"),
        pytest.param([Buffer("a", 0, 0, 0)], 0, 0, id="no_bytes"),
        pytest.param([Buffer("a", 1, 0, 3)], 16, 16, id="rounded"),
        pytest.param([Buffer("a", 64, 0, 1), Buffer("b", 64, 1, 2)], 128, 128, id="last_step_is_inclusive"),
        pytest.param([Buffer("a", 64, 0, 1), Buffer("b", 64, 2, 3)], 64, 64, id="one_after_the_other"),
        pytest.param([Buffer("a", 64, 0, 1), Buffer("b", 64, 1, 2, "a")], 64, 64, id="in_place"),
        pytest.param([Buffer("a", 64, 0, 1), Buffer("b", 50, 1, 2, "a")], 64, 64, id="in_place_rounded"),
        pytest.param([Buffer("a", 64, 0, 1), Buffer("b", 80, 1, 2, "a")], 144, 144, id="too_large"),
        pytest.param([Buffer("a", 64, 0, 2), Buffer("b", 64, 1, 2, "a")], 128, 128, id="ends_later"),
        pytest.param(
            [Buffer("a", 64, 0, 1), Buffer("b", 64, 1, 2, "a"), Buffer("c", 32, 1, 2, "a")],
            96,
            96,
            id="one_taker",
        ),
        pytest.param(
            [Buffer("a", 64, 0, 1), Buffer("b", 64, 1, 2, "a"), Buffer("c", 64, 2, 3, "b")],
            64,
            64,
            id="chain",
        ),
        # All three are in use in step 1, so that either a and b or b and c share memory.
        pytest.param(
            [Buffer("a", 64, 0, 1), Buffer("b", 64, 1, 1, "a"), Buffer("c", 64, 1, 2, "b")],
            128,
            64,
            id="chain_of_one_step",
        ),
        # Greedy by size places b over a, and then c over b: 6 units.
        pytest.param(
            [Buffer("a", 16, 0, 1), Buffer("b", 48, 1, 2), Buffer("c", 32, 2, 3), Buffer("d", 32, 0, 0)],
            80,
            80,
            id="greedy_by_size_is_poor",
        ),
    ],
)
def test_known_plans(buffers: List[Buffer], size_bytes: int, bound_bytes: int) -> None:
    planned = plan(buffers, 16)
    assert (planned.size_bytes, planned.bound_bytes) == (size_bytes, bound_bytes)


def test_a_permission_may_stay_unused() -> None:
    # If d takes over a, c has no place next to a and b. If c takes over a, b has no place next to c and d.
    buffers = [
        Buffer("a", 7, 1, 3),
        Buffer("b", 7, 4, 9),
        Buffer("c", 1, 3, 4, "a"),
        Buffer("d", 5, 3, 5, "a"),
        Buffer("e", 7, 2, 2),
        Buffer("f", 7, 6, 8),
    ]
    assert plan(buffers, 1).size_bytes == smallest(buffers) == 14


# A net with a residual block: (name, size, first, last, reuses), from the order of its kernels.
RESIDUAL: Final = [
    Buffer("conv0", 8192, 0, 3),
    Buffer("conv1", 8192, 1, 2),
    Buffer("scratch1", 2048, 1, 1),
    Buffer("conv2", 8192, 2, 3),
    Buffer("add", 8192, 3, 4, "conv2"),
    Buffer("pool", 2048, 4, 5),
    Buffer("dense", 40, 5, 6),
    Buffer("softmax", 40, 6, 6, "dense"),
]
# Depth 3: the tensors of each level stay until the way up concatenates them.
UNET: Final = [
    Buffer("down0", 16384, 0, 7),
    Buffer("pool0", 4096, 1, 2),
    Buffer("down1", 8192, 2, 5),
    Buffer("pool1", 2048, 3, 4),
    Buffer("up1", 8192, 4, 5),
    Buffer("joined1", 16384, 5, 6),
    Buffer("up0", 16384, 6, 7),
    Buffer("joined0", 32768, 7, 8),
    Buffer("out", 16384, 8, 8),
]
# Widen, filter, narrow; the second block has a shortcut.
INVERTED: Final = [
    Buffer("wide0", 24576, 0, 1),
    Buffer("filtered0", 6144, 1, 2),
    Buffer("narrow0", 1536, 2, 6),
    Buffer("wide1", 9216, 3, 4),
    Buffer("filtered1", 9216, 4, 5),
    Buffer("narrow1", 1536, 5, 6),
    Buffer("sum1", 1536, 6, 7, "narrow0"),
    Buffer("pool", 96, 7, 7),
]
# Every layer of a dense block reads the concatenation of all results before it.
DENSE: Final = [
    Buffer("conv0", 4096, 0, 7),
    Buffer("conv1", 2048, 1, 7),
    Buffer("joined1", 6144, 2, 3),
    Buffer("relu1", 6144, 3, 4, "joined1"),
    Buffer("conv2", 2048, 4, 7),
    Buffer("joined2", 8192, 5, 6),
    Buffer("conv3", 2048, 6, 7),
    Buffer("joined3", 10240, 7, 8),
    Buffer("pool", 1280, 8, 8),
]
ATTENTION: Final = [
    Buffer("tokens", 4096, 0, 9),
    Buffer("normal", 4096, 1, 4),
    Buffer("query", 4096, 2, 5),
    Buffer("key", 4096, 3, 5),
    Buffer("value", 4096, 4, 8),
    Buffer("scores", 8192, 5, 7),
    Buffer("sums", 128, 6, 7),
    Buffer("weights", 8192, 7, 8, "scores"),
    Buffer("mixed", 4096, 8, 9),
    Buffer("sum", 4096, 9, 11, "tokens"),
    Buffer("hidden", 16384, 10, 10),
    Buffer("gelu", 16384, 10, 11, "hidden"),
    Buffer("out", 4096, 11, 11),
]


@pytest.mark.parametrize(
    ("buffers", "size_bytes"),
    [
        pytest.param(RESIDUAL, 24576, id="residual"),
        pytest.param(UNET, 65536, id="unet"),
        pytest.param(INVERTED, 30720, id="inverted_residuals"),
        pytest.param(DENSE, 20480, id="dense_block"),
        pytest.param(ATTENTION, 24576, id="attention"),
    ],
)
def test_nets_get_an_arena_of_the_lower_bound(buffers: List[Buffer], size_bytes: int) -> None:
    planned = plan(buffers, 16)
    assert planned.size_bytes == planned.bound_bytes == size_bytes


@pytest.mark.parametrize("family", FAMILIES)
def test_random_nets_take_at_most_3_percent_more_than_the_lower_bound(family: str) -> None:
    # 210 nets. The search meets the lower bound for all of them on CPython 3.11.
    for seed in range(30):
        planned = plan(random_net(family, seed), 16)
        assert planned.size_bytes <= 1.03 * planned.bound_bytes, seed


def test_the_search_uses_its_rounds_and_the_permissions() -> None:
    buffers = random_net("random_cells", 59)
    planned = plan(buffers, 16)
    assert planned.size_bytes == planned.bound_bytes
    assert planned.offsets["t17"] != planned.offsets[next(b.reuses for b in buffers if b.name == "t17") or ""]


def test_the_work_of_the_search_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = skyline.solve
    visits: List[int] = []

    def counted(problem: skyline.Problem, *arguments: object) -> object:
        visits.append(problem.work)
        return solve(problem, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(memory_plan, "solve", counted)
    rng = random.Random(3)
    buffers = []
    for number in range(300):  # up to 60 in use in a step, more than a net has
        first = rng.randrange(150)
        buffers.append(Buffer(f"b{number}", rng.randint(1, 9999), first, first + rng.randint(0, 60)))
    planned = plan(buffers, 16)
    assert planned.size_bytes <= 1.1 * planned.bound_bytes
    assert len(visits) > 1
    assert sum(visits) <= memory_plan._MAX_WORK


AB: Final = [Buffer("a", 16, 0, 1), Buffer("b", 16, 1, 2, "a")]


@pytest.mark.parametrize(
    ("buffers", "planned", "problem"),
    [
        pytest.param(AB, Plan(32, 0, {"a": 0}), "place for b", id="missing"),
        pytest.param(AB, Plan(32, 0, {"a": 8, "b": 16}), "place for a", id="not_aligned"),
        pytest.param(AB, Plan(32, 0, {"a": -16, "b": 0}), "place for a", id="negative"),
        pytest.param(AB, Plan(31, 0, {"a": 0, "b": 16}), "place for b", id="behind_the_arena"),
        pytest.param(
            [Buffer("a", 16, 0, 1), Buffer("b", 16, 1, 2)],
            Plan(32, 0, {"a": 0, "b": 0}),
            "lets b and a overlap in step 1",
            id="no_permission",
        ),
        pytest.param(
            [Buffer("a", 32, 0, 1), Buffer("b", 16, 1, 2, "a")],
            Plan(32, 0, {"a": 0, "b": 16}),
            "lets b and a overlap",
            id="shared_at_another_offset",
        ),
        pytest.param(
            [Buffer("a", 16, 0, 1), Buffer("b", 32, 1, 2, "a")],
            Plan(32, 0, {"a": 0, "b": 0}),
            "lets b and a overlap",
            id="taker_is_larger",
        ),
        pytest.param(
            [Buffer("a", 16, 0, 2), Buffer("b", 16, 1, 2, "a")],
            Plan(32, 0, {"a": 0, "b": 0}),
            "lets b and a overlap",
            id="given_one_ends_later",
        ),
        pytest.param(
            [*AB, Buffer("c", 16, 1, 2, "a")],
            Plan(32, 0, {"a": 0, "b": 0, "c": 0}),
            "lets c and b overlap",
            id="two_takers",
        ),
    ],
)
def test_the_check_refuses_a_wrong_plan(buffers: List[Buffer], planned: Plan, problem: str) -> None:
    with pytest.raises(HostToolsFault) as caught:
        check_plan(buffers, 16, planned)
    assert problem in caught.value.what


def test_a_plan_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = skyline.first_solution

    def all_at_zero(problem: skyline.Problem, bound: int) -> skyline.Solution:
        found = solve(problem, bound)
        return found._replace(offsets=[0] * len(found.offsets))

    monkeypatch.setattr(memory_plan, "first_solution", all_at_zero)
    with pytest.raises(HostToolsFault, match="overlap"):
        plan([Buffer("a", 16, 0, 1), Buffer("b", 16, 1, 2)], 16)


@pytest.mark.parametrize(
    ("buffers", "alignment", "problem"),
    [
        pytest.param([], 0, "expected at least 1", id="alignment"),
        pytest.param([Buffer("a", 1, 0, 0)] * 2, 1, "one name", id="name_twice"),
        pytest.param([Buffer("a", -1, 0, 0)], 1, "invalid size or life time", id="negative"),
        pytest.param([Buffer("a", 1, 1, 0)], 1, "invalid size or life time", id="ends_before_it_starts"),
        pytest.param([Buffer("a", 1, 0, 0, "b")], 1, "`reuses`", id="unknown_name"),
        pytest.param([Buffer("a", 1, 0, 0, "a")], 1, "`reuses`", id="own_name"),
    ],
)
def test_invalid_arguments(buffers: List[Buffer], alignment: int, problem: str) -> None:
    with pytest.raises(HostToolsFault) as caught:
        plan(buffers, alignment)
    assert problem in caught.value.what
