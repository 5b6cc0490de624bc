# SPDX-License-Identifier: Apache-2.0
"""Model archives and tar files built for tests: valid, old, unusual and hostile ones."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

Content = Union[str, bytes]

SOURCE = "int32_t tvmgen_default_run_model(void) { return 0; }\n"

RELAY = (
    'def @main(%image: Tensor[(1, 4), float32], %scale:0: float32, output_tensor_names=["probs"])'
    " -> Tensor[(1, 3), float32] {\n  nn.softmax(%image)\n}\n"
)

GRAPH = {
    "nodes": [
        {"op": "null", "name": "image", "inputs": []},
        {"op": "null", "name": "p0", "inputs": []},
        {
            "op": "tvm_op",
            "name": "dense",
            "attrs": {"num_outputs": "1", "func_name": "dense"},
            "inputs": [[0, 0, 0], [1, 0, 0]],
        },
    ],
    "arg_nodes": [0, 1],
    "heads": [[2, 0, 0]],
    "node_row_ptr": [0, 1, 2, 3],
    "attrs": {
        "dltype": ["list_str", ["float32", "float32", "float32"]],
        "shape": ["list_shape", [[1, 4], [3, 4], [1, 3]]],
        "storage_id": ["list_int", [0, 1, 2]],
    },
}


def saved_params(*names: str) -> bytes:
    """Return parameters in TVM's file format, each a float32 tensor of shape (3, 4) on the CPU."""
    texts = [name.encode() for name in names]
    tensor = struct.pack("<QQiiiBBHqqq", 0xDD5E40F096B4A13F, 0, 1, 0, 2, 2, 32, 1, 3, 4, 48) + bytes(48)
    parts = [struct.pack("<QQQ", 0xF7E58D4F05049CB7, 0, len(texts))]
    parts += [struct.pack("<Q", len(text)) + text for text in texts]
    parts += [struct.pack("<Q", len(texts)), tensor * len(texts)]
    return b"".join(parts)


def module_metadata(executor: str = "aot", **changes: Any) -> Dict[str, Any]:
    """Return the entry of metadata.json for one module with the input "image" and the output "output"."""
    main = {
        "device": 1,
        "workspace_size_bytes": 64,
        "constants_size_bytes": 48,
        "io_size_bytes": 28,
        "inputs": {"image": {"dtype": "float32", "size": 16}},
        "outputs": {"output": {"dtype": "float32", "size": 12}},
    }
    module = {
        "model_name": "default",
        "memory": {"functions": {"main": [main], "operator_functions": []}},
        "target": ["c -keys=cpu"],
        "executors": [executor],
        "style": "full-model",
    }
    return {**module, **changes}


def full_model(executor: str = "aot", **changes: Any) -> Dict[str, Content]:
    """Return the files of an archive of version 7.

    Args:
        executor: "aot" or "graph".
        changes: New values for fields of the module in metadata.json.
    """
    files: Dict[str, Content] = {
        "metadata.json": json.dumps(
            {"version": 7, "modules": {"default": module_metadata(executor, **changes)}}
        ),
        "codegen/host/src/default_lib0.c": SOURCE,
        "codegen/host/src/default_lib1.c": SOURCE,
        "parameters/default.params": saved_params(),
    }
    if executor == "graph":
        files["executor-config/graph/default.graph"] = json.dumps(GRAPH)
    return files


def version_5(executor: str = "graph") -> Dict[str, Content]:
    """Return files as TVM 0.8 writes them.

    metadata.json describes one module at the top level and no tensors. Some files have other names.
    """
    module = module_metadata(executor)
    for key in ("inputs", "outputs"):
        del module["memory"]["functions"]["main"][0][key]
    module["target"] = {"1": "c -keys=cpu"}
    files: Dict[str, Content] = {
        "metadata.json": json.dumps({"version": 5, **module}),
        "codegen/host/src/lib0.c": SOURCE,
        "parameters/default.params": saved_params("p0"),
        "src/relay.txt": RELAY,
    }
    if executor == "graph":
        files["executor-config/graph/graph.json"] = json.dumps(GRAPH)
    return files


def member(
    name: str, content: Content = b"", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> Tuple[tarfile.TarInfo, bytes]:
    """Return one member of a tar. Nothing is validated, so that tests can write invalid members."""
    data = content.encode() if isinstance(content, str) else content
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.size = len(data)
    return info, data


def tar_bytes(
    members: Iterable[Tuple[tarfile.TarInfo, bytes]], mode: str = "w", tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tar_format) as tar:  # type: ignore[call-overload]
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive_bytes(
    files: Mapping[str, Content], *extra: Tuple[tarfile.TarInfo, bytes], mode: str = "w"
) -> bytes:
    """Return a tar as TVM writes it: names begin with "./". The extra members follow the files."""
    members = [member(f"./{name}", content) for name, content in files.items()]
    return tar_bytes([*members, *extra], mode)


def write_archive(path: Path, files: Optional[Mapping[str, Content]] = None, mode: str = "w") -> Path:
    path.write_bytes(archive_bytes(full_model() if files is None else files, mode=mode))
    return path
