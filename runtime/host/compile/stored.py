# SPDX-License-Identifier: Apache-2.0
"""Compiled models in the cache: a model file is compiled once for its content and the options."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Callable, ContextManager, Final, List, Mapping, NamedTuple, Optional, Sequence

from runtime.host.archive.tar import PackedTar
from runtime.host.compile.packages import check_packages
from runtime.host.errors import PlatformError, reason_of
from runtime.host.system.cache import Cache, Digest
from runtime.host.system.regular_files import read_bytes

SUFFIXES: Final = (".onnx", ".tflite", ".pt2")
"""Suffixes of the model files that commands compile: ONNX, TensorFlow Lite, PyTorch."""

NAME: Final = "model.tar"
EXTERNAL: Final = "external.json"
MAX_FILE_BYTES: Final = 512 << 20
OURS: Final = Path(__file__).parent

Progress = Callable[[str], ContextManager[Any]]
Shapes = Mapping[str, Sequence[int]]


def is_model_file(path: Path) -> bool:
    """Return whether a path names a model file, as opposed to a model archive."""
    return path.suffix.lower() in SUFFIXES


class Stored(NamedTuple):
    """Compiled model.

    Attributes:
        packed: Model archive.
        is_cached: The cache had it.
    """

    packed: PackedTar
    is_cached: bool


def compiled_archive(
    path: Path,
    *,
    input_shapes: Optional[Shapes] = None,
    verify: bool = True,
    progress: Progress = lambda _text: contextlib.nullcontext(),
    cache: Optional[Cache] = None,
) -> Stored:
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
    entry = _entry(path, input_shapes or {}, verify, cache)
    found = cache.get(entry)
    if found is not None:
        return Stored(PackedTar(path, found), True)
    from runtime.host.compile.api import compile_model

    compiled = compile_model(path, input_shapes=input_shapes, verify=verify, progress=progress)
    cache.put(entry, compiled.archive.data)
    return Stored(compiled.archive, False)


def _entry(path: Path, shapes: Shapes, verify: bool, cache: Cache) -> str:
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
        for other in _external_data(path, data, cache):
            digest.add_content(other.name, read_bytes(other, MAX_FILE_BYTES))
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {reason_of(error)}.", "Check the path.") from error
    return f"{digest.key()}-{NAME}"


def _external_data(path: Path, data: bytes, cache: Cache) -> List[Path]:
    """Return the files that hold weights of an ONNX model.

    Each has an entry with the key "location" (onnx.proto, TensorProto.external_data). The cache keeps their
    names, because the import of onnx takes 0.3 s.
    """
    if b"location" not in data:
        return []
    digest = Digest()
    digest.add_content("external", data)
    entry = f"{digest.key()}-{EXTERNAL}"
    names = _names_in(cache.get(entry))
    if names is None:
        names = _external_names(data)
        cache.put(entry, json.dumps(names).encode())
    return [path.resolve().parent / name for name in names]


def _names_in(content: Optional[bytes]) -> Optional[List[str]]:
    try:
        names = None if content is None else json.loads(content)
    except ValueError:
        return None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_list else None


def _external_names(data: bytes) -> List[str]:
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # the compilation explains what is wrong with the file
        return []
    return sorted(
        {
            entry.value
            for tensor in model.graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )
