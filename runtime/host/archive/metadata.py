# SPDX-License-Identifier: Apache-2.0
"""metadata.json of a model archive, versions 5 to 7, read with every type checked: it may hold anything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, Final, List, Mapping, NoReturn, Optional, Tuple

from runtime.host.archive.facts import c_identifier
from runtime.host.archive.graph import bounded_int
from runtime.host.archive.tensor_specs import Declared, TensorSpec
from runtime.host.dtype import MAX_TENSOR_BYTES, check_tensor
from runtime.host.errors import ArchiveError

SUPPORTED_VERSIONS: Final = (5, 6, 7)
EXECUTORS: Final = ("aot", "graph")
EXPORT_AGAIN: Final = "Export the model again with export_model_library_format of TVM 0.8 to 0.18."

# TVM takes any ASCII text as a module's name (mod_name) and writes it, as it is, into names of files and
# functions. Object files bear dots and dashes; anything else could break out of a C source or a path.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Metadata:
    """What metadata.json says of the one module of an archive.

    version: of the format. style: "full-model", or "operator" for the single operators that tuning builds.
    module: its name. executors: what can run it; nothing for an operator.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        """path: of the archive, for messages. Raises ArchiveError."""
        self.path = path
        document = self._parse(content)
        if not isinstance(document, dict):
            self.refuse("has a metadata.json that is not a JSON object")
        self.version = self._read_version(document)
        self.style = self._read_style(document)
        self.module, self._module = self._only_module(document)
        self.executors = self._read_executors()
        self._memory = self._mapping(self._module.get("memory", {}), "memory")

    @property
    def workspace_size_bytes(self) -> int:
        """Most memory in use at one time, as the compiler planned it; 0 when the archive does not tell."""
        if self.style == "operator":
            return 0
        return sum(
            self._size(entry, "workspace_size_bytes") for entry in self._entries(self._functions, "main")
        )

    @property
    def operator_workspace_size_bytes(self) -> int:
        """Most workspace that a single operator allocates while it runs."""
        sizes = [
            self._size(entry, "workspace_size_bytes")
            for function in self._entries(self._functions, "operator_functions")
            for entry in self._entries(function, "workspace")
        ]
        return max(sizes, default=0)

    @property
    def storage_sizes_bytes(self) -> List[int]:
        """The pieces of memory of a graph executor. Where tensors share a piece, it has the size of one."""
        return [self._size(entry, "size_bytes") for entry in self._entries(self._memory, "sids")]

    @property
    def operators(self) -> Dict[str, List[TensorSpec]]:
        """Of an operator archive: function name -> its arguments, inputs and outputs alike, in order."""
        if self.style != "operator":
            return {}
        return {
            function: [
                self._argument(index, self._mapping(entry, function))
                for index, entry in enumerate(self._entries(self._memory, function))
            ]
            for function in self._memory
        }

    def declared(self, key: str) -> Optional[Dict[str, Declared]]:
        """Return name -> declaration of the "inputs" or "outputs"; None where there is none (version 5)."""
        found = None
        for entry in self._entries(self._functions, "main"):
            if key in entry:
                tensors = self._mapping(entry[key], key)
                found = {name: self._declaration(name, tensor) for name, tensor in tensors.items()}
            if found:
                break
        return found

    def checked(self, spec: TensorSpec) -> TensorSpec:
        """Return a tensor. Raises ArchiveError for one of a type or size that no device has."""
        try:
            check_tensor(spec.dtype, spec.shape)
        except ValueError as error:
            self.refuse(f"declares {error} as {spec.name[:80]!r}")
        if spec.size_bytes > MAX_TENSOR_BYTES:
            self.refuse(f"declares {spec.size_bytes:,} bytes for the tensor {spec.name[:80]!r}")
        return spec

    def refuse(self, what: str, next_step: str = EXPORT_AGAIN) -> NoReturn:
        """Raise ArchiveError. what: the end of a sentence about the archive."""
        raise ArchiveError(f"{self.path} {what}.", next_step)

    def _parse(self, content: bytes) -> Any:
        try:
            return json.loads(content.decode("utf-8"), parse_int=bounded_int)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it is nested too deep"
            raise ArchiveError(
                f"{self.path} has a metadata.json that is not JSON: {reason}.", EXPORT_AGAIN
            ) from error

    def _read_version(self, metadata: Mapping[str, Any]) -> int:
        version = metadata.get("version")
        supported = ", ".join(str(known) for known in SUPPORTED_VERSIONS)
        if version is None:
            self.refuse(f"has a metadata.json without a version (supported: {supported})")
        if isinstance(version, bool) or version not in SUPPORTED_VERSIONS:
            shown = json.dumps(version)[:40]
            self.refuse(
                f"is of Model Library Format version {shown}, which is unknown (supported: {supported})"
            )
        return int(version)

    def _read_style(self, metadata: Mapping[str, Any]) -> str:
        if "modules" in metadata:
            return "full-model"
        style = metadata.get("style", "full-model")
        if style not in ("full-model", "operator"):
            self.refuse(f"is of the unknown style {str(style)[:40]!r} (supported: full-model, operator)")
        return str(style)

    def _only_module(self, metadata: Mapping[str, Any]) -> Tuple[str, Mapping[str, Any]]:
        """The name of the one module, and what metadata.json says about it."""
        if "modules" in metadata:
            modules = self._mapping(metadata["modules"], "modules")
        else:
            modules = {str(metadata.get("model_name", "default")): metadata}
        names = sorted(modules)
        if not names:
            self.refuse("names no module in its metadata.json")
        if len(names) > 1:
            self.refuse(
                f"holds {len(names)} modules: {some_names(names)}",
                "Export each to an archive of its own: one call of export_model_library_format for each.",
            )
        name = names[0]
        if _PLAIN_NAME.fullmatch(name) is None:
            self.refuse(
                f"holds a module called {name[:80]!r}, and no function in C can be called so",
                "Build the model with a mod_name of letters, digits and underscores, and export it again.",
            )
        return name, self._mapping(modules[name], f"modules.{name}")

    def _read_executors(self) -> List[str]:
        if self.style == "operator":
            return []
        style = self._module.get("style", "full-model")
        if style != "full-model":
            self.refuse(f"holds module {self.module!r} of the unknown style {str(style)[:40]!r}")
        executors = self._module.get("executors")
        if not isinstance(executors, list) or not executors:
            self.refuse(f"does not say in its metadata.json which executor runs module {self.module!r}")
        unknown = [str(executor)[:40] for executor in executors if executor not in EXECUTORS]
        if unknown:
            self.refuse(f"is made for the executor {unknown[0]!r}, which is unknown (supported: aot, graph)")
        return [str(executor) for executor in executors]

    def _mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.refuse(f"has a metadata.json in which {what[:80]!r} is not an object")
        return value

    def _entries(self, parent: Mapping[str, Any], key: str) -> List[Mapping[str, Any]]:
        value = parent.get(key, [])
        if not isinstance(value, list):
            self.refuse(f"has a metadata.json in which {key[:80]!r} is not a list")
        return [self._mapping(entry, key) for entry in value]

    def _size(self, parent: Mapping[str, Any], key: str) -> int:
        value = parent.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(f"has a metadata.json in which {key!r} is not a number of bytes")
        return value

    @property
    def _functions(self) -> Mapping[str, Any]:
        return self._mapping(self._memory.get("functions", {}), "functions")

    def _declaration(self, name: str, value: Any) -> Declared:
        tensor = self._mapping(value, name)
        return Declared(self._dtype(tensor, name), self._size(tensor, "size"))

    def _dtype(self, tensor: Mapping[str, Any], name: str) -> str:
        dtype = tensor.get("dtype")
        if not isinstance(dtype, str) or re.fullmatch(r"[a-z]+[0-9]*(?:x[0-9]+)?", dtype) is None:
            self.refuse(f"has a metadata.json in which tensor {name[:80]!r} has no type")
        return dtype

    def _argument(self, index: int, entry: Mapping[str, Any]) -> TensorSpec:
        name = entry.get("input_binding")
        name = name if isinstance(name, str) and name else f"arg{index}"
        shape = entry.get("shape")
        if not isinstance(shape, list) or not all(type(extent) is int and extent >= 0 for extent in shape):
            self.refuse(f"has a metadata.json in which argument {name[:80]!r} has no shape")
        dtype = self._dtype(entry, name)
        size = self._size(entry, "size_bytes")
        return self.checked(TensorSpec(name, dtype, tuple(shape), size, c_identifier(name)))


def some_names(names: List[str]) -> str:
    """Return names for a message: the first 20, each shortened."""
    return ", ".join(name[:80] for name in names[:20]) + (", ..." if len(names) > 20 else "")
