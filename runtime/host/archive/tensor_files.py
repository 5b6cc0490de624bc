# SPDX-License-Identifier: Apache-2.0
"""Tensor files: .npy and .npz for the inputs and outputs of a model."""

from __future__ import annotations

import errno
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Final, Sequence, Tuple, Union

from runtime.host.archive.model_archive import TensorSpec
from runtime.host.errors import PlatformError, ToolMissing, reason_of
from runtime.host.system.regular_files import open_regular

try:
    import numpy
except ModuleNotFoundError as error:  # an API server may run in an interpreter without packages
    raise ToolMissing(
        "The Python package numpy is not installed; reading and writing tensors requires numpy.",
        f"Install numpy with: {sys.executable} -m pip install numpy",
    ) from error

MAX_ARRAY_BYTES: Final = 1 << 30

if TYPE_CHECKING:
    Array = numpy.ndarray[Any, Any]


def read_inputs(files: Sequence[str], inputs: Sequence[TensorSpec]) -> Dict[str, Array]:
    """Return an array for each input of the model.

    Args:
        files: FILE.npy, NAME=FILE.npy or FILE.npz; if empty, each input gets a test pattern.
        inputs: Inputs of the model.

    Raises:
        PlatformError: A file cannot be read or does not fit the model, or an input has no file.
    """
    return complete(read_given(files, inputs), inputs, fill=not files)


def read_given(files: Sequence[str], inputs: Sequence[TensorSpec]) -> Dict[str, Array]:
    """Return the arrays in files by input name.

    Args:
        files: FILE.npy, NAME=FILE.npy or FILE.npz.
        inputs: Inputs of the model.

    Raises:
        PlatformError: A file cannot be read, a name is unknown or a duplicate, or an array has another type
            or shape.
    """
    specs = {spec.name: spec for spec in inputs}
    arrays: Dict[str, Array] = {}
    for text in files:
        for name, array in _named_arrays(text, list(specs)).items():
            if name not in specs:
                raise PlatformError(
                    f"The model has no input {name!r}.", f"Use the inputs of this model: {', '.join(specs)}."
                )
            if name in arrays:
                raise PlatformError(f"Input {name!r} has more than one file.", "Pass one file per input.")
            arrays[name] = _fitting(specs[name], array)
    return arrays


def complete(given: Dict[str, Array], inputs: Sequence[TensorSpec], *, fill: bool) -> Dict[str, Array]:
    """Return an array for each input.

    Args:
        given: Arrays by input name.
        inputs: Inputs of the model.
        fill: Use a test pattern for inputs without an array.

    Raises:
        PlatformError: An input has no array and `fill` is not set.
    """
    left_out = [spec.name for spec in inputs if spec.name not in given]
    if left_out and not fill:
        raise PlatformError(
            f"No file contains input {', '.join(map(repr, left_out))} of the model.",
            "Pass a file for each input, or add --fill to use a test pattern for the missing inputs.",
        )
    return {spec.name: given[spec.name] if spec.name in given else pattern(spec) for spec in inputs}


def check_readable(files: Sequence[str]) -> None:
    """Raise PlatformError if a file for read_inputs is missing or has no arrays.

    Call this before the firmware is built or flashed.
    """
    for text in files:
        _named_arrays(text, [""])


def read_arrays(path: Path) -> Union[Array, Dict[str, Array]]:
    """Return the array of a .npy file, or name -> array of a .npz file.

    Raises:
        PlatformError: The file cannot be read or is damaged.
    """
    try:
        _check_sizes(path)
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return loaded
        with loaded:
            return {name: numpy.asarray(loaded[name]) for name in loaded.files}
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {reason_of(error)}.", "Check the path.") from error
    # numpy raises many kinds of exceptions for a truncated or damaged file. For a file of another format its
    # message mentions pickles.
    except Exception as error:
        raise PlatformError(
            f"{path} is damaged, or is not a .npy or .npz file.",
            "Create the file with numpy.save or numpy.savez from arrays of numbers.",
        ) from error


def _check_sizes(path: Path) -> None:
    """Raise OSError if the path is not a regular file, or if its arrays exceed MAX_ARRAY_BYTES.

    Decompresses nothing.
    """
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as packed:
                size = max(size, sum(member.file_size for member in packed.infolist()))
    if size > MAX_ARRAY_BYTES:
        raise OSError(errno.EFBIG, f"expected at most {MAX_ARRAY_BYTES:,} bytes, got {size:,}")


def write_outputs(path: Path, outputs: Sequence[Array]) -> None:
    """Write the outputs as output_0, output_1, ... of an .npz file."""
    try:
        with path.open("wb") as file:
            numpy.savez(file, **{f"output_{index}": array for index, array in enumerate(outputs)})  # type: ignore[arg-type]
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be written: {reason_of(error)}.", "Name another output file."
        ) from error


def split_name(text: str) -> Tuple[str, str]:
    """Return name and path of NAME=FILE; the name of a FILE without one is empty."""
    name, separator, path_text = text.partition("=")
    return (name, path_text) if separator else ("", text)


def _named_arrays(text: str, names: Sequence[str]) -> Dict[str, Array]:
    """Return input name -> array of one FILE.npy, NAME=FILE.npy or FILE.npz.

    The .npz files of the examples have arrays "input_<name>" and "output_...". So a prefix "input_" is
    removed if the model has no input of the full name, and "output_..." arrays are skipped.
    """
    name, path_text = split_name(text)
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
        f"{path_text} has no input name, but the model has {len(names)} inputs.",
        f"Pass NAME={path_text} with one of these names: {', '.join(names)}.",
    )


def _without_prefix(key: str, names: Sequence[str]) -> str:
    return key[len("input_") :] if key not in names and key.startswith("input_") else key


def pattern(spec: TensorSpec) -> Array:
    """Return an array for an input; its elements count from 0 to 99 repeatedly."""
    try:
        dtype = numpy.dtype(spec.dtype)
    except TypeError as error:
        raise PlatformError(
            f"The model has an input of type {spec.dtype}, which numpy does not support.",
            "Cast the input inside the model, and export the model again.",
        ) from error
    count = spec.size_bytes // dtype.itemsize
    array: Array = numpy.resize(numpy.arange(min(count, 100)).astype(dtype), count)
    return array if spec.shape is None else array.reshape(spec.shape)


def _fitting(spec: TensorSpec, array: Array) -> Array:
    """Return the array if it has the type and shape of the input; its size if the shape is unknown."""
    fits = array.shape == spec.shape if spec.shape is not None else array.nbytes == spec.size_bytes
    if array.dtype != spec.dtype or not fits:
        shape = f" {list(spec.shape)}" if spec.shape is not None else ""
        raise PlatformError(
            f"Input {spec.name!r}: expected {spec.dtype}{shape}, {spec.size_bytes} bytes, "
            f"got {array.dtype} {list(array.shape)}, {array.nbytes} bytes.",
            "Convert the array (numpy's astype, reshape and transpose) and save it again.",
        )
    return array
