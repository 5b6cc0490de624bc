# SPDX-License-Identifier: Apache-2.0
"""Model archive of a compiled model: Model Library Format 7, AOT executor, C code."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any, Dict, Final, Mapping, Sequence

from runtime.host.compile.program import Program, Tensor

FORMAT: Final = 7


def archive_bytes(
    module: str,
    files: Mapping[str, str],
    inputs: Sequence[str],
    outputs: Sequence[str],
    program: Program,
    arena_bytes: int,
    constant_bytes: int,
    about: Mapping[str, Any],
) -> bytes:
    """Return the tar of a model archive. The same arguments give the same bytes.

    Args:
        module: Name of the module.
        files: Path in the archive -> text, without metadata.json.
        inputs: Names of the inputs in order.
        outputs: Names of the outputs in order; two may be equal.
        program: Program with the tensors of these names.
        arena_bytes: Size of the arena.
        constant_bytes: Size of all constants.
        about: Facts for people and tools (report.py), as JSON.
    """
    sizes = [tensor.size_bytes for tensor in (*program.inputs, *program.outputs)]
    main: Dict[str, Any] = {
        "device": 1,
        "workspace_size_bytes": arena_bytes,
        "constants_size_bytes": constant_bytes,
        "io_size_bytes": sum(sizes),
        "inputs": _declared(inputs, program.inputs),
        "outputs": _declared(outputs, program.outputs),
    }
    described: Dict[str, Any] = {
        "model_name": module,
        "style": "full-model",
        "executors": ["aot"],
        "target": ["c"],
        "export_datetime": "2024-01-01 00:00:00Z",
        "external_dependencies": [],
        "tensors": {"inputs": list(inputs), "outputs": list(outputs)},
        "about": dict(about),
        "memory": {"functions": {"main": [main], "operator_functions": []}},
    }
    texts = {
        "metadata.json": json.dumps({"version": FORMAT, "modules": {module: described}}, indent=2),
        **files,
    }
    return _tar(texts)


def _declared(names: Sequence[str], tensors: Sequence[Tensor]) -> Dict[str, Dict[str, Any]]:
    return {name: {"dtype": tensor.dtype, "size": tensor.size_bytes} for name, tensor in zip(names, tensors)}


def _tar(texts: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in texts.items():
            data = text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()
