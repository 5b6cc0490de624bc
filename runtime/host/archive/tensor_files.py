# SPDX-License-Identifier: Apache-2.0
"""Tensors in files: .npy and .npz for a model's inputs and outputs."""

from __future__ import annotations

import errno
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Final, Sequence, Union

from runtime.host.archive.model_archive import TensorSpec
from runtime.host.errors import PlatformError, ToolMissing, reason_of
from runtime.host.system.regular_files import open_regular

try:
    import numpy
except ModuleNotFoundError as error:  # an API server may run in an interpreter that has no packages
    raise ToolMissing(
        "The Python package numpy is not installed; it is needed to read and write tensors.",
        f"Install it: {sys.executable} -m pip install numpy",
    ) from error

MAX_ARRAY_BYTES: Final = 1 << 30

if TYPE_CHECKING:
    Array = numpy.ndarray[Any, Any]


def read_inputs(files: Sequence[str], inputs: Sequence[TensorSpec]) -> Dict[str, Array]:
    """Return an array for each input of the model: from files, or a pattern for all of them without any.

    Raises PlatformError as read_given does, and where files leave an input out.
    """
    return complete(read_given(files, inputs), inputs, fill=not files)


def read_given(files: Sequence[str], inputs: Sequence[TensorSpec]) -> Dict[str, Array]:
    """Return arrays by input name, from FILE.npy, NAME=FILE.npy or FILE.npz texts.

    Raises PlatformError for a file that cannot be read, a name that the model does not have, or an array of
    another type or shape.
    """
    specs = {spec.name: spec for spec in inputs}
    arrays: Dict[str, Array] = {}
    for text in files:
        for name, array in _named_arrays(text, list(specs)).items():
            if name not in specs:
                raise PlatformError(
                    f"The model has no input {name!r}.", f"Inputs of this model: {', '.join(specs)}."
                )
            if name in arrays:
                raise PlatformError(f"Input {name!r} is given twice.", "Give one file for each input.")
            arrays[name] = _fitting(specs[name], array)
    return arrays


def complete(given: Dict[str, Array], inputs: Sequence[TensorSpec], *, fill: bool) -> Dict[str, Array]:
    """Return an array for each input: the given one, or a pattern where fill is set.

    Raises PlatformError for an input without an array where it is not set.
    """
    left_out = [spec.name for spec in inputs if spec.name not in given]
    if left_out and not fill:
        raise PlatformError(
            f"No file has input {', '.join(map(repr, left_out))} of the model.",
            "Give each input a file, or add --fill to run with a pattern in place of the missing ones.",
        )
    return {spec.name: given[spec.name] if spec.name in given else pattern(spec) for spec in inputs}


def check_readable(files: Sequence[str]) -> None:
    """Raise PlatformError when a file of read_inputs is missing or holds no arrays, before anything is built
    or flashed for them."""
    for text in files:
        _named_arrays(text, [""])


def read_arrays(path: Path) -> Union[Array, Dict[str, Array]]:
    """The array of a .npy file, or name -> array of a .npz. Raises PlatformError."""
    try:
        _check_sizes(path)
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return loaded
        with loaded:
            return {name: numpy.asarray(loaded[name]) for name in loaded.files}
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {reason_of(error)}.", "Check the path.") from error
    # numpy raises exceptions of many kinds for a file of another kind (it then speaks of pickles) and for one
    # that is cut short or damaged.
    except Exception as error:
        raise PlatformError(
            f"{path} is damaged, or is no .npy or .npz file.",
            "Write it with numpy.save or numpy.savez, from plain numbers.",
        ) from error


def _check_sizes(path: Path) -> None:
    """Raise OSError for what is no regular file, or holds more than any model takes. Nothing is unpacked."""
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as packed:
                size = max(size, sum(member.file_size for member in packed.infolist()))
    if size > MAX_ARRAY_BYTES:
        raise OSError(errno.EFBIG, f"it holds {size:,} bytes, and at most {MAX_ARRAY_BYTES:,} are read")


def write_outputs(path: Path, outputs: Sequence[Array]) -> None:
    """Write the outputs as output_0, output_1, ... of an .npz file."""
    try:
        with path.open("wb") as file:
            numpy.savez(file, **{f"output_{index}": array for index, array in enumerate(outputs)})  # type: ignore[arg-type]
    except OSError as error:
        raise PlatformError(f"{path} cannot be written: {reason_of(error)}.", "Name another file.") from error


def _named_arrays(text: str, names: Sequence[str]) -> Dict[str, Array]:
    """Input name -> array of one FILE.npy, NAME=FILE.npy or FILE.npz.

    In an .npz, names that the model does not have lose a leading "input_", and arrays called "output_..." are
    left out: so are the files that come with the examples.
    """
    name, separator, path_text = text.partition("=")
    if not separator:
        name, path_text = "", text
    loaded = read_arrays(Path(path_text))
    if isinstance(loaded, dict):
        return {
            _without_prefix(key, names): array
            for key, array in loaded.items()
            if key in names or not key.startswith("output_")
        }
    if name:
        return {name: loaded}
    if len(names) == 1:
        return {names[0]: loaded}
    raise PlatformError(
        f"{path_text} does not say which input it is for.",
        f"Write it as NAME={path_text}; inputs of this model: {', '.join(names)}.",
    )


def _without_prefix(key: str, names: Sequence[str]) -> str:
    return key[len("input_") :] if key not in names and key.startswith("input_") else key


def pattern(spec: TensorSpec) -> Array:
    """Return an array for an input: its elements count from 0 to 99, again and again."""
    try:
        dtype = numpy.dtype(spec.dtype)
    except TypeError as error:
        raise PlatformError(
            f"The model has an input of type {spec.dtype}, which numpy does not have.",
            "Cast it inside the model.",
        ) from error
    count = spec.size_bytes // dtype.itemsize
    array: Array = numpy.resize(numpy.arange(min(count, 100)).astype(dtype), count)
    return array if spec.shape is None else array.reshape(spec.shape)


def _fitting(spec: TensorSpec, array: Array) -> Array:
    """The array, which must have the input's type and shape; where that is not known, its size."""
    fits = array.shape == spec.shape if spec.shape is not None else array.nbytes == spec.size_bytes
    if array.dtype != spec.dtype or not fits:
        shape = f" {list(spec.shape)}" if spec.shape is not None else ""
        raise PlatformError(
            f"Input {spec.name!r}: expected {spec.dtype}{shape}, {spec.size_bytes} bytes, "
            f"got {array.dtype} {list(array.shape)}, {array.nbytes} bytes.",
            "Convert the array (numpy's astype, reshape and transpose) and save it again.",
        )
    return array
