# SPDX-License-Identifier: Apache-2.0
"""Which input and output of a model is which: the order of the generated code, and the names of the trained
model.

The code takes its tensors by position, people give them by name, and no text of an archive has both for
certain: names in C are shared ("x.1" and "x_1" are both x_1), the Relay text changes them, and
metadata.json is sorted. A swapped input is a wrong answer that nobody sees. So each text narrows down which
name may stand at which position, and only an order that is the last one left is used.
"""

from __future__ import annotations

import contextlib
import re
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from runtime.host.archive.facts import Shape, TensorFacts, shape_of_strides
from runtime.host.dtype import DType


class TensorSpec(NamedTuple):
    """One input or output of a model.

    name: as in the trained model, for example "serving_default_x:0".
    dtype: as NumPy spells it, for example "float32". shape: None when the archive does not tell.
    size_bytes: of the whole tensor.
    c_name: as the generated C spells it, for example as a member of the C interface's struct.
    """

    name: str
    dtype: str
    shape: Optional[Shape]
    size_bytes: int
    c_name: str


class Declared(NamedTuple):
    """What metadata.json says about one tensor."""

    dtype: str
    size_bytes: int


class Listing(NamedTuple):
    """Tensors in the order of the generated code, as one text of the archive lists them.

    tensors: one without a name may have any. spell: a name of the trained model -> as this text spells it; a
    number may follow where that is taken.
    has_more: the text also lists what is no input, such as weights.
    """

    tensors: Sequence[TensorFacts]
    spell: Callable[[str], str]
    has_more: bool = False


MOST_TENSORS = 200
"""More inputs or outputs than this must be spelled each in a way of its own: the search takes long for
more."""

Range = Tuple[int, int]


class UnknownOrder(Exception):
    """The archive does not tell which tensor is which.

    names: those that cannot be told apart. why: where it is not that they could stand at one place.
    """

    def __init__(self, names: Sequence[str], why: str = "") -> None:
        super().__init__(*names)
        self.names = list(names)
        self.why = why


def size_in_bytes(dtype: Optional[str], shape: Optional[Shape]) -> Optional[int]:
    """Return the bytes of a tensor; None when the type or the shape is not known."""
    if dtype is None or shape is None or len(dtype) > 16:
        return None
    try:
        return DType.parse(dtype).nbytes(shape)
    except ValueError:
        return None


def order_of(declared: Mapping[str, Declared], listings: Sequence[Listing]) -> List[str]:
    """Return the declared names in the order of the generated code.

    listings: by trust, the most trusted first. Raises UnknownOrder where more than one order remains, and
    where a listing of inputs or outputs alone fits none.
    """
    complete = [listing for listing in listings if not listing.has_more]
    if complete:
        exact = _exact_order(declared, complete[0])
        if exact is not None:
            return exact
    if len(declared) > MOST_TENSORS:
        raise UnknownOrder(list(declared), f"there are more than {MOST_TENSORS}")
    places = [set(declared) for _ in declared]
    for listing in complete:
        narrowed = _narrowed(places, declared, listing)
        if narrowed is None:
            raise UnknownOrder(list(declared), "the code lists others")
        places = narrowed
    ranges = [_ranges(declared, listing) for listing in listings if listing.has_more]
    return _only_order(places, ranges[0] if ranges else {})


def _exact_order(declared: Mapping[str, Declared], listing: Listing) -> Optional[List[str]]:
    """The order of a listing that spells each name in a way of its own; None where two are spelled alike."""
    names = {listing.spell(name): name for name in declared}
    order = [names.get(facts.name, "") for facts in listing.tensors]
    fits = len(names) == len(declared) == len(order) and set(order) == set(declared)
    agree = fits and all(_agrees(declared[name], facts) for name, facts in zip(order, listing.tensors))
    return order if agree else None


def _narrowed(
    places: Sequence[Set[str]], declared: Mapping[str, Declared], listing: Listing
) -> Optional[List[Set[str]]]:
    """The names that a listing leaves at each place; None where it has no way to fill them all."""
    if len(listing.tensors) != len(places):
        return None
    for fits in (_is_spelled, may_be_spelled):
        narrowed = [
            {name for name in place if fits(declared, name, facts, listing.spell)}
            for place, facts in zip(places, listing.tensors)
        ]
        if _can_be_filled(narrowed):
            return narrowed
    return None


def _ranges(declared: Mapping[str, Declared], listing: Listing) -> Dict[str, Range]:
    """Where in a listing of more than the declared tensors each name may stand: first and last place."""
    ranges = {}
    for name in declared:
        at = [
            index
            for index, facts in enumerate(listing.tensors)
            if may_be_spelled(declared, name, facts, listing.spell)
        ]
        if at:
            ranges[name] = (at[0], at[-1])
    return ranges


def _is_spelled(
    declared: Mapping[str, Declared], name: str, facts: TensorFacts, spell: Callable[[str], str]
) -> bool:
    return facts.name in ("", spell(name)) and _agrees(declared[name], facts)


def may_be_spelled(
    declared: Mapping[str, Declared], name: str, facts: TensorFacts, spell: Callable[[str], str]
) -> bool:
    """Like _is_spelled, where a number may follow that keeps the text's names apart."""
    start = spell(name)
    rest = facts.name[len(start) :]
    is_numbered = facts.name.startswith(start) and re.fullmatch(r"(_?[0-9]+)?", rest) is not None
    return is_numbered and _agrees(declared[name], facts)


def shape_in(facts: TensorFacts, dtype: str, size_bytes: int) -> Optional[Shape]:
    """Return the shape that a text gives a tensor of this type and size; None where it gives none that
    fits."""
    shape = facts.shape
    if facts.strides is not None:
        shape = shape_of_strides(facts.strides, size_bytes // max(1, size_in_bytes(dtype, ()) or 1))
    return shape if size_in_bytes(dtype, shape) == size_bytes else None


def _agrees(tensor: Declared, facts: TensorFacts) -> bool:
    """Whether type and size of a declared tensor are those that a text says, as far as it says them."""
    if facts.dtype is not None and facts.dtype != tensor.dtype:
        return False
    says_nothing = facts.shape is None and facts.strides is None
    return says_nothing or shape_in(facts, tensor.dtype, tensor.size_bytes) is not None


def _can_be_filled(places: Sequence[Set[str]]) -> bool:
    """Whether each place can get a name of its own out of those that it may have."""
    owner: Dict[str, int] = {}

    def place(index: int, tried: Set[str]) -> bool:
        for name in places[index] - tried:
            tried.add(name)
            if name not in owner or place(owner[name], tried):
                owner[name] = index
                return True
        return False

    return all(place(index, set()) for index in range(len(places)))


def _only_order(places: Sequence[Set[str]], ranges: Mapping[str, Range]) -> List[str]:
    """The one way to fill the places.

    Where there is just one, some place or some name has only one choice, and without these two again, to
    the end. What is left over is in the order of its ranges, where none of them reaches into another.
    Raises UnknownOrder.
    """
    left = {index: set(place) for index, place in enumerate(places)}
    order: Dict[int, str] = {}
    while left:
        homes: Dict[str, List[int]] = {}
        for index, place in left.items():
            for name in place:
                homes.setdefault(name, []).append(index)
        sure = [(index, next(iter(place))) for index, place in left.items() if len(place) == 1]
        sure += [(indices[0], name) for name, indices in homes.items() if len(indices) == 1]
        sure = sure[:1] or _in_order_of_ranges(left, ranges)
        if not sure:
            raise UnknownOrder(sorted(homes))
        for index, name in sure:
            order[index] = name
            del left[index]
            for place in left.values():
                place.discard(name)
    return [order[index] for index in range(len(places))]


def _in_order_of_ranges(left: Mapping[int, Set[str]], ranges: Mapping[str, Range]) -> List[Tuple[int, str]]:
    """The names of one group of places that share their names, by the ranges; none where these do not
    tell."""
    indices = sorted(left)
    group = left[indices[0]]
    indices = [index for index in indices if left[index] == group]
    names = sorted(group, key=lambda name: ranges.get(name, (0, 0)))
    is_told = len(names) == len(indices) and all(name in ranges for name in names)
    apart = (
        all(ranges[one][1] < ranges[other][0] for one, other in zip(names, names[1:])) if is_told else False
    )
    return list(zip(indices, names)) if apart else []


def _own_shape(facts: TensorFacts) -> Optional[Shape]:
    """The shape that a text tells without the size of the tensor."""
    if facts.strides is not None and not any(facts.strides):
        return (1,) * len(facts.strides)
    return facts.shape


def specify(name: str, declared: Optional[Declared], known: Sequence[TensorFacts], c_name: str) -> TensorSpec:
    """One tensor from what metadata.json declares and what other texts know about it, the most trusted first.

    Raises LookupError with its name where its type or size is in none of them.
    """
    dtype = declared.dtype if declared else next((facts.dtype for facts in known if facts.dtype), None)
    sizes = (
        [declared.size_bytes] if declared else [size_in_bytes(dtype, _own_shape(facts)) for facts in known]
    )
    size = next((size for size in sizes if size is not None), None)
    if dtype is None or size is None:
        raise LookupError(name)
    shapes = [shape for shape in (shape_in(facts, dtype, size) for facts in known) if shape is not None]
    return TensorSpec(name, dtype, shapes[0] if shapes else None, size, c_name)


MADE_UP_NAME = re.compile(r"output([0-9]{0,9})")
"""What TVM calls the outputs of a model that does not name them."""


def output_names(
    declared: Mapping[str, Declared],
    true_names: Optional[Sequence[str]],
    tensors: Optional[Sequence[TensorFacts]],
    listings: Sequence[Listing],
    may_have_names: bool,
) -> List[str]:
    """Return the names of the outputs in the order of the generated code.

    declared: by name, so that of two outputs of one name one is missing. true_names: from the Relay text;
    None where the model names no outputs, or, with may_have_names, where that is not known. tensors: the
    outputs of the code by position, None where no text lists them. Where nothing tells two names apart,
    they are called by their positions ("output0"): what stands where is certain then, and only the names
    are lost. Raises UnknownOrder where not even that is.
    """
    count = len(declared) if tensors is None else len(tensors)
    fits = true_names is not None and (tensors is None or len(true_names) == count)
    if true_names is not None and fits and set(declared) <= set(true_names):
        return list(true_names)
    if not declared:
        return [f"output{index}" for index in range(count)]
    numbers = [MADE_UP_NAME.fullmatch(name) for name in declared]
    if true_names is None and not may_have_names and all(numbers) and len(declared) == count:
        by_number = sorted(declared, key=lambda name: int(name[len("output") :] or 0))
        if tensors is None or all(_agrees(declared[name], facts) for name, facts in zip(by_number, tensors)):
            return by_number
    with contextlib.suppress(UnknownOrder):
        if len(declared) == count:
            return order_of(declared, listings)
    if tensors is None or any(numbers):
        raise UnknownOrder(sorted(declared))
    return [f"output{index}" for index in range(count)]
