# SPDX-License-Identifier: Apache-2.0
"""Compiled models in the cache: a model file is compiled once for its content and the options."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Callable, ContextManager, Final, List, Mapping, Optional, Sequence

from runtime.host.archive.tar import PackedTar
from runtime.host.compile.packages import check_packages
from runtime.host.errors import PlatformError, reason_of
from runtime.host.system.cache import Cache, Digest
from runtime.host.system.regular_files import read_bytes

SUFFIXES: Final = (".onnx",)
"""Suffixes of the model files that commands compile."""

NAME: Final = "model.tar"
MAX_FILE_BYTES: Final = 512 << 20
OURS: Final = Path(__file__).parent

Progress = Callable[[str], ContextManager[Any]]
Shapes = Mapping[str, Sequence[int]]


def is_model_file(path: Path) -> bool:
    """Return whether a path names a model file, as opposed to a model archive."""
    return path.suffix.lower() in SUFFIXES


def compiled_archive(
    path: Path,
    *,
    input_shapes: Optional[Shapes] = None,
    verify: bool = True,
    progress: Progress = lambda _text: contextlib.nullcontext(),
    cache: Optional[Cache] = None,
) -> PackedTar:
    """Return the model archive of a model file, from the cache if it was compiled before.

    Args:
        path: Model file.
        input_shapes: Input -> extents, for inputs with a dynamic shape.
        verify: Compare the answers of the compiled model with a reference.
        progress: Context manager that is entered for each stage, with its name.
        cache: Cache of compiled models; None for the user's.

    Raises:
        PlatformError: The file cannot be read, or the model cannot be compiled.
    """
    cache = cache or Cache()
    entry = _entry(path, input_shapes or {}, verify)
    found = cache.get(entry)
    if found is not None:
        return PackedTar(path, found)
    from runtime.host.compile.api import compile_model

    compiled = compile_model(path, input_shapes=input_shapes, verify=verify, progress=progress)
    cache.put(entry, compiled.archive.data)
    return compiled.archive


def _entry(path: Path, shapes: Shapes, verify: bool) -> str:
    """Return the name of a cache entry: a digest of model, options, packages and this compiler."""
    digest = Digest()
    for package, version in check_packages():
        digest.add(package, version)
    digest.add_files(OURS, OURS.rglob("*.py"))
    for name, extents in sorted(shapes.items()):
        digest.add(name, *map(str, extents))
    digest.add(f"verify={verify}")
    try:
        data = read_bytes(path, MAX_FILE_BYTES)
        digest.add_content("model", data)
        for other in _external_data(path, data):
            digest.add_content(other.name, read_bytes(other, MAX_FILE_BYTES))
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {reason_of(error)}.", "Check the path.") from error
    return f"{digest.key()}-{NAME}"


def _external_data(path: Path, data: bytes) -> List[Path]:
    """Return the files that hold weights of an ONNX model.

    Each has an entry with the key "location" (onnx.proto, TensorProto.external_data).
    """
    if b"location" not in data:
        return []
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # the compilation explains what is wrong with the file
        return []
    names = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.resolve().parent / name for name in sorted(names)]
