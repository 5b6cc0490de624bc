# SPDX-License-Identifier: Apache-2.0
"""Tensors in files: .npy and .npz for a model's inputs and outputs."""

from __future__ import annotations

import sys
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Union

from runtime.host.archive import TensorSpec
from runtime.host.errors import PlatformError, ToolMissing

try:
    import numpy
except ModuleNotFoundError as error:  # an API server may run in an interpreter that has no packages
    raise ToolMissing(
        "The Python package numpy is not installed; it is needed to read and write tensors.",
        f"Install it: {sys.executable} -m pip install numpy",
    ) from error

if TYPE_CHECKING:
    Array = numpy.ndarray[Any, Any]


def read_inputs(files: Sequence[str], inputs: Sequence[TensorSpec]) -> Dict[str, Array]:
    """One array for each input of the model, from FILE.npy, NAME=FILE.npy or FILE.npz texts.

    An input that no file names counts from 0 to 99, again and again. Raises PlatformError for a file that
    cannot be read, a name that the model does not have, or an array of another type or size.
    """
    names: List[str] = [spec.name for spec in inputs]
    arrays: Dict[str, Array] = {}
    for text in files:
        for name, array in _named_arrays(text, names).items():
            if name not in names:
                raise PlatformError(
                    f"The model has no input {name!r}.", f"Inputs of this model: {', '.join(names)}."
                )
            if name in arrays:
                raise PlatformError(f"Input {name!r} is given twice.", "Give one file for each input.")
            arrays[name] = array
    return {spec.name: _fitting(spec, arrays.get(spec.name)) for spec in inputs}


def check_readable(files: Sequence[str]) -> None:
    """Raise PlatformError when a file of read_inputs is missing or holds no arrays, before anything is built
    or flashed for them."""
    for text in files:
        _named_arrays(text, [""])


def read_arrays(path: Path) -> Union[Array, Dict[str, Array]]:
    """The array of a .npy file, or name -> array of a .npz. Raises PlatformError."""
    try:
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return loaded
        with loaded:
            return {name: numpy.asarray(loaded[name]) for name in loaded.files}
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path."
        ) from error
    # What numpy raises for a file of another kind (it then speaks of pickles), cut short or damaged.
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise PlatformError(
            f"{path} is damaged, or is no .npy or .npz file.",
            "Write it with numpy.save or numpy.savez, from plain numbers.",
        ) from error


def write_outputs(path: Path, outputs: Sequence[Array]) -> None:
    """Write the outputs as output_0, output_1, ... of an .npz file."""
    try:
        with path.open("wb") as file:
            numpy.savez(file, **{f"output_{index}": array for index, array in enumerate(outputs)})  # type: ignore[arg-type]
    except OSError as error:
        raise PlatformError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error


def _named_arrays(text: str, names: Sequence[str]) -> Dict[str, Array]:
    """Input name -> array of one FILE.npy, NAME=FILE.npy or FILE.npz.

    In an .npz a leading "input_" of a name does not count, and arrays called "output_..." are left out: so
    are the files that come with the examples.
    """
    name, separator, path_text = text.partition("=")
    if not separator:
        name, path_text = "", text
    loaded = read_arrays(Path(path_text))
    if isinstance(loaded, dict):
        return {
            key[len("input_") :] if key.startswith("input_") else key: array
            for key, array in loaded.items()
            if not key.startswith("output_")
        }
    if name:
        return {name: loaded}
    if len(names) == 1:
        return {names[0]: loaded}
    raise PlatformError(
        f"{path_text} does not say which input it is for.",
        f"Write it as NAME={path_text}; inputs of this model: {', '.join(names)}.",
    )


def _fitting(spec: TensorSpec, array: Any) -> Array:
    """The array, which must have the input's type and size; one that counts up where it is None."""
    if array is None:
        count = spec.size_bytes // numpy.dtype(spec.dtype).itemsize
        array = (numpy.arange(count) % 100).astype(spec.dtype)
        return array if spec.shape is None else array.reshape(spec.shape)  # type: ignore[no-any-return]
    if array.dtype != spec.dtype or array.nbytes != spec.size_bytes:
        shape = f" {list(spec.shape)}" if spec.shape is not None else ""
        raise PlatformError(
            f"Input {spec.name!r}: want {spec.dtype}{shape}, {spec.size_bytes} bytes, "
            f"got {array.dtype} {list(array.shape)}, {array.nbytes} bytes.",
            "Convert the array (numpy's astype and reshape) and save it again.",
        )
    return array  # type: ignore[no-any-return]
