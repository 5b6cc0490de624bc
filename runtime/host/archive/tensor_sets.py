# SPDX-License-Identifier: Apache-2.0
"""Sets of inputs and expected outputs in .npz files: one set, or several along a leading axis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, NamedTuple, Optional, Sequence

from runtime.host.archive.tensor_files import read_arrays
from runtime.host.archive.tensor_specs import TensorSpec
from runtime.host.errors import PlatformError

if TYPE_CHECKING:
    from runtime.host.archive.tensor_files import Array


class Side(NamedTuple):
    """Side of a model: its inputs or its outputs.

    Attributes:
        word: "input" or "output".
        others: Prefix of the arrays of the other side, which a file may hold too.
    """

    word: str
    others: str


INPUT = Side("input", "output_")
OUTPUT = Side("output", "input_")


def read_input_sets(path: Path, inputs: Sequence[TensorSpec]) -> List[Dict[str, Array]]:
    """Return the sets of inputs in an .npz file, each an array by input name.

    The name of an array is that of the input, or has the prefix "input_". Arrays "output_..." are skipped.

    Args:
        path: File of numpy.savez.
        inputs: Inputs of the model.

    Raises:
        PlatformError: The file cannot be read, a name is unknown, missing or a duplicate, or an array has
            another type or shape.
    """
    labels = {spec.name: index for index, spec in enumerate(inputs)}
    labels = {**{f"input_{name}": index for name, index in labels.items()}, **labels}
    sets = _read(path, INPUT, inputs, labels)
    return [{spec.name: array for spec, array in zip(inputs, arrays)} for arrays in sets]


def read_output_sets(path: Path, outputs: Sequence[TensorSpec]) -> List[List[Array]]:
    """Return the sets of expected outputs in an .npz file, each a list of arrays in order.

    The name of an array is that of the output, or output_0, output_1 and so on. Two outputs of one name have
    only the latter. Arrays "input_..." are skipped.

    Args:
        path: File of numpy.savez.
        outputs: Outputs of the model.

    Raises:
        PlatformError: The file cannot be read, a name is unknown, missing or a duplicate, or an array has
            another type or shape.
    """
    names = [spec.name for spec in outputs]
    labels = {f"output_{index}": index for index in range(len(names))}
    labels.update({name: index for index, name in enumerate(names) if names.count(name) == 1})
    return _read(path, OUTPUT, outputs, labels)


def _read(
    path: Path, side: Side, specs: Sequence[TensorSpec], labels: Mapping[str, int]
) -> List[List[Array]]:
    loaded = read_arrays(path)
    if not isinstance(loaded, dict):
        raise PlatformError(
            f"{path} holds one array without a name: expected an .npz file.",
            "Create the file with numpy.savez, with one array per tensor.",
        )
    arrays: Dict[int, Array] = {}
    for label, array in loaded.items():
        if label not in labels and label.startswith(side.others):
            continue
        index = labels.get(label)
        if index is None:
            raise PlatformError(
                f"{path}: the model has no {side.word} {label!r}.",
                f"Use the {side.word}s of this model: {', '.join(spec.name for spec in specs)}.",
            )
        if index in arrays:
            raise PlatformError(
                f"{path} holds {side.word} {specs[index].name!r} under two names.", "Keep one of the arrays."
            )
        arrays[index] = array
    missing = [spec.name for index, spec in enumerate(specs) if index not in arrays]
    if missing:
        raise PlatformError(
            f"{path} does not hold {side.word} {', '.join(map(repr, missing))} of the model.",
            f"Save an array for each {side.word}.",
        )
    split = [_split(path, side, spec, arrays[index]) for index, spec in enumerate(specs)]
    counts = sorted({len(each) for each in split})
    if len(counts) > 1:
        raise PlatformError(
            f"{path} holds {' and '.join(map(str, counts))} sets of {side.word}s.",
            "Give each array a leading axis of the same length, or none.",
        )
    return [list(one) for one in zip(*split)]


def _split(path: Path, side: Side, spec: TensorSpec, array: Array) -> List[Array]:
    """Return the sets in one array.

    An array of the tensor's shape is one set. Otherwise the first axis counts sets: in front of the shape,
    or in place of a first extent of 1.
    """
    count = _count(spec, array)
    if array.dtype != spec.dtype or not count:
        shape = "any shape" if spec.shape is None else str(list(spec.shape))
        raise PlatformError(
            f"{path}: {side.word} {spec.name!r}: expected {spec.dtype} {shape}, {spec.size_bytes} bytes, or "
            f"several along a leading axis, got {array.dtype} {list(array.shape)}.",
            "Convert the array (numpy's astype, reshape and transpose) and save it again.",
        )
    if spec.shape is None:
        return list(array.reshape(count, -1)) if array.nbytes != spec.size_bytes else [array]
    return list(array.reshape(count, *spec.shape))


def _count(spec: TensorSpec, array: Array) -> Optional[int]:
    """Return the number of sets in an array; None or 0 if its shape does not fit."""
    found, wanted = array.shape, spec.shape
    if wanted is None:  # only the size is known
        if array.nbytes == spec.size_bytes:
            return 1
        return found[0] if found and array.nbytes == found[0] * spec.size_bytes else None
    if found == wanted:
        return 1
    in_front = found[1:] == wanted and len(found) > len(wanted)
    in_place = wanted[:1] == (1,) and len(found) == len(wanted) and found[1:] == wanted[1:]
    return int(found[0]) if in_front or in_place else None
