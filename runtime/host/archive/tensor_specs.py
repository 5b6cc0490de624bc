# SPDX-License-Identifier: Apache-2.0
"""Matching of the tensors of generated code with the names of the trained model.

The generated code identifies tensors by position, but users identify them by name. No text of an archive has
both reliably: C names are shared ("x.1" and "x_1" are both x_1), the Relay text changes names, and
metadata.json is sorted. Swapped inputs would produce wrong outputs without an error. So each text excludes
names for a position, and only a unique order is used.
"""

from __future__ import annotations

import contextlib
import re
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from runtime.host.archive.facts import Shape, TensorFacts, shape_of_strides
from runtime.host.dtype import DType


class TensorSpec(NamedTuple):
    """One input or output of a model.

    Attributes:
        name: Name in the trained model, for example "serving_default_x:0".
        dtype: Data type in NumPy's spelling, for example "float32".
        shape: Extents; None if the archive does not have them.
        size_bytes: Bytes of the whole tensor.
        c_name: Name in the generated C, for example as a member of the C interface's struct.
    """

    name: str
    dtype: str
    shape: Optional[Shape]
    size_bytes: int
    c_name: str


class Declared(NamedTuple):
    """Declaration of one tensor in metadata.json."""

    dtype: str
    size_bytes: int


class Listing(NamedTuple):
    """Tensors in the order of the generated code, from one text of the archive.

    Attributes:
        tensors: The tensors. A tensor with an empty name matches any name.
        spell: Function from a name of the trained model to its spelling in this text. A number may follow to
            make a duplicate unique.
        has_more: The text also lists other tensors, such as weights.
    """

    tensors: Sequence[TensorFacts]
    spell: Callable[[str], str]
    has_more: bool = False


MOST_TENSORS = 200
"""Most inputs or outputs that the search handles; with more, each name must have a unique spelling."""

Range = Tuple[int, int]


class UnknownOrder(Exception):
    """Archive that allows several orders of its tensors.

    Attributes:
        names: Names of the ambiguous tensors.
        why: Reason; empty if several names fit the same position.
    """

    def __init__(self, names: Sequence[str], why: str = "") -> None:
        super().__init__(*names)
        self.names = list(names)
        self.why = why


def size_in_bytes(dtype: Optional[str], shape: Optional[Shape]) -> Optional[int]:
    """Return the bytes of a tensor; None if the type or the shape is unknown."""
    if dtype is None or shape is None or len(dtype) > 16:
        return None
    try:
        return DType.parse(dtype).nbytes(shape)
    except ValueError:
        return None


def order_of(declared: Mapping[str, Declared], listings: Sequence[Listing]) -> List[str]:
    """Return the declared names in the order of the generated code.

    Args:
        declared: Declarations in metadata.json, by name.
        listings: Lists of tensors, the most trusted first.

    Raises:
        UnknownOrder: Several orders remain, or a list of only inputs or only outputs fits none.
    """
    complete = [listing for listing in listings if not listing.has_more]
    if complete:
        exact = _exact_order(declared, complete[0])
        if exact is not None:
            return exact
    if len(declared) > MOST_TENSORS:
        raise UnknownOrder(list(declared), f"more than {MOST_TENSORS} tensors")
    places = [set(declared) for _ in declared]
    for listing in complete:
        narrowed = _narrowed(places, declared, listing)
        if narrowed is None:
            raise UnknownOrder(list(declared), "the code lists different tensors")
        places = narrowed
    ranges = [_ranges(declared, listing) for listing in listings if listing.has_more]
    return _only_order(places, ranges[0] if ranges else {})


def _exact_order(declared: Mapping[str, Declared], listing: Listing) -> Optional[List[str]]:
    """Return the order of a listing with a unique spelling of each name; None if two are alike."""
    names = {listing.spell(name): name for name in declared}
    order = [names.get(facts.name, "") for facts in listing.tensors]
    fits = len(names) == len(declared) == len(order) and set(order) == set(declared)
    agree = fits and all(_agrees(declared[name], facts) for name, facts in zip(order, listing.tensors))
    return order if agree else None


def _narrowed(
    places: Sequence[Set[str]], declared: Mapping[str, Declared], listing: Listing
) -> Optional[List[Set[str]]]:
    """Return the names that a listing allows at each position; None if they cannot fill all positions."""
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
    """Return the first and last position that each name may have in a listing with more tensors."""
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
    """Return whether a name in a listing is spelled like a declared name and agrees with it."""
    return facts.name in ("", spell(name)) and _agrees(declared[name], facts)


def may_be_spelled(
    declared: Mapping[str, Declared], name: str, facts: TensorFacts, spell: Callable[[str], str]
) -> bool:
    """Return whether a name in a listing may be a declared name, and type and size agree.

    The text may append a number to make names unique.
    """
    start = spell(name)
    rest = facts.name[len(start) :]
    is_numbered = facts.name.startswith(start) and re.fullmatch(r"(_?[0-9]+)?", rest) is not None
    return is_numbered and _agrees(declared[name], facts)


def shape_in(facts: TensorFacts, dtype: str, size_bytes: int) -> Optional[Shape]:
    """Return the shape of a tensor of this type and size in a text; None if no shape there fits."""
    shape = facts.shape
    if facts.strides is not None:
        shape = shape_of_strides(facts.strides, size_bytes // max(1, size_in_bytes(dtype, ()) or 1))
    return shape if size_in_bytes(dtype, shape) == size_bytes else None


def _agrees(tensor: Declared, facts: TensorFacts) -> bool:
    """Return whether the type and size in a text, if any, equal those of a declared tensor."""
    if facts.dtype is not None and facts.dtype != tensor.dtype:
        return False
    says_nothing = facts.shape is None and facts.strides is None
    return says_nothing or shape_in(facts, tensor.dtype, tensor.size_bytes) is not None


def _can_be_filled(places: Sequence[Set[str]]) -> bool:
    """Return whether each position can get a different name of those allowed there."""
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
    """Return the only way to fill the positions.

    If there is just one way, some position or some name has only one choice. That pair is removed, and the
    search repeats. The remaining names are ordered by their ranges, if these do not overlap.

    Raises:
        UnknownOrder: Several ways remain.
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
    """Return one group of positions with their names in the order of their ranges.

    Empty if the ranges overlap or are incomplete.
    """
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
    """Return the shape that a text has independently of the size of the tensor."""
    if facts.strides is not None and not any(facts.strides):
        return (1,) * len(facts.strides)
    return facts.shape


def specify(name: str, declared: Optional[Declared], known: Sequence[TensorFacts], c_name: str) -> TensorSpec:
    """Return the tensor that metadata.json and other texts describe.

    Args:
        name: Name in the trained model.
        declared: Declaration in metadata.json, if any.
        known: Facts from other texts, the most trusted first.
        c_name: Name in the generated C.

    Raises:
        LookupError: No text has the type or size; the argument is the name.
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
"""Name that TVM generates for the outputs of a model that does not name them."""


def output_names(
    declared: Mapping[str, Declared],
    true_names: Optional[Sequence[str]],
    tensors: Optional[Sequence[TensorFacts]],
    listings: Sequence[Listing],
    may_have_names: bool,
) -> List[str]:
    """Return the names of the outputs in the order of the generated code.

    If names are ambiguous, the outputs get generated names by position ("output0"). Their order is still
    certain; only the names are lost.

    Args:
        declared: Declarations by name. It has only one of several outputs with the same name.
        true_names: Names from the Relay text; None if the model does not name its outputs, or, with
            may_have_names, if this is unknown.
        tensors: Outputs of the code by position; None if no text lists them.
        listings: Lists of outputs, the most trusted first.
        may_have_names: The model may name its outputs although true_names is None.

    Raises:
        UnknownOrder: Not even the order is certain.
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
