# SPDX-License-Identifier: Apache-2.0
"""Tensors in files: .npy and .npz for a model's inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy

from runtime.host.archive import TensorSpec
from runtime.host.errors import PlatformError


def read_inputs(files: Sequence[str], inputs: Sequence[TensorSpec]) -> Dict[str, numpy.ndarray[Any, Any]]:
    """One array for each input of the model, from FILE.npy, NAME=FILE.npy or FILE.npz texts.

    An input that no file names counts from 0 to 99, again and again. Raises PlatformError for a file that
    cannot be read, a name that the model does not have, or an array of another type or size.
    """
    names: List[str] = [spec.name for spec in inputs]
    arrays: Dict[str, Any] = {}
    for text in files:
        name, separator, path_text = text.partition("=")
        if not separator:
            name, path_text = "", text
        loaded = _load(Path(path_text))
        if isinstance(loaded, dict):
            arrays.update(loaded)
        elif name:
            arrays[name] = loaded
        elif len(names) == 1:
            arrays[names[0]] = loaded
        else:
            raise PlatformError(
                f"{path_text} does not say which input it is for.",
                f"Write it as NAME=FILE.npy; inputs: {', '.join(names)}.",
            )
    unknown = [name for name in arrays if name not in names]
    if unknown:
        raise PlatformError(
            f"The model has no input {unknown[0]!r}.", f"Inputs of this model: {', '.join(names)}."
        )
    for spec in inputs:
        if spec.name not in arrays:
            count = spec.size_bytes // numpy.dtype(spec.dtype).itemsize
            array = (numpy.arange(count) % 100).astype(spec.dtype)
            arrays[spec.name] = array if spec.shape is None else array.reshape(spec.shape)
        array = arrays[spec.name]
        if array.dtype != spec.dtype or array.nbytes != spec.size_bytes:
            shape = f" {list(spec.shape)}" if spec.shape is not None else ""
            raise PlatformError(
                f"Input {spec.name!r}: want {spec.dtype}{shape}, {spec.size_bytes} bytes, "
                f"got {array.dtype} {list(array.shape)}, {array.nbytes} bytes.",
                "Convert the array (numpy's astype and reshape) and save it again.",
            )
    return arrays


def write_outputs(path: Path, outputs: Sequence[numpy.ndarray[Any, Any]]) -> None:
    """Write the outputs as output_0, output_1, ... of an .npz file."""
    try:
        with path.open("wb") as file:
            numpy.savez(file, **{f"output_{index}": array for index, array in enumerate(outputs)})  # type: ignore[arg-type]
    except OSError as error:
        raise PlatformError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error


def _load(path: Path) -> Any:
    """An array of a .npy file, or the name -> array of a .npz; names lose a leading "input_"."""
    try:
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return loaded
        with loaded:
            return {
                name[len("input_") :] if name.startswith("input_") else name: loaded[name]
                for name in loaded.files
                if not name.startswith("output_")
            }
    except (OSError, ValueError, EOFError) as error:
        raise PlatformError(
            f"{path} cannot be read as a tensor: {error}.", "Write it with numpy.save or numpy.savez."
        ) from error
