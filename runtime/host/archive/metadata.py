# SPDX-License-Identifier: Apache-2.0
"""Reader of metadata.json in model archives, versions 5 to 7. It checks the type of every value."""

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

# TVM accepts any ASCII string as mod_name and writes it unchanged into file and function names. Object files
# support dots and dashes; other characters could break out of a C source or a path.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Metadata:
    """Contents of metadata.json for the only module of an archive.

    Attributes:
        path: Path of the archive, for messages.
        version: Version of the Model Library Format.
        style: "full-model", or "operator" for the single operators that tuning builds.
        module: Name of the module.
        executors: Executors that can run the module; empty for an operator.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        """Read and check metadata.json.

        Args:
            path: Path of the archive, for messages.
            content: Bytes of metadata.json.

        Raises:
            ArchiveError: A value is missing, invalid or unsupported.
        """
        self.path = path
        document = self._parse(content)
        if not isinstance(document, dict):
            self.refuse("has an invalid metadata.json: expected a JSON object")
        self.version = self._read_version(document)
        self.style = self._read_style(document)
        self.module, self._module = self._only_module(document)
        self.executors = self._read_executors()
        self._memory = self._mapping(self._module.get("memory", {}), "memory")

    @property
    def workspace_size_bytes(self) -> int:
        """Peak memory in use, as planned by the compiler; 0 if the archive does not declare it."""
        if self.style == "operator":
            return 0
        return sum(
            self._size(entry, "workspace_size_bytes") for entry in self._entries(self._functions, "main")
        )

    @property
    def operator_workspace_size_bytes(self) -> int:
        """Largest workspace that a single operator allocates while it runs."""
        sizes = [
            self._size(entry, "workspace_size_bytes")
            for function in self._entries(self._functions, "operator_functions")
            for entry in self._entries(function, "workspace")
        ]
        return max(sizes, default=0)

    @property
    def operator_workspaces(self) -> Dict[str, int]:
        """Kernel -> workspace that it allocates, in bytes. Empty for a single operator."""
        workspaces: Dict[str, int] = {}
        for function in self._entries(self._functions, "operator_functions"):
            name = function.get("function_name")
            if not isinstance(name, str):
                self.refuse("has an invalid metadata.json: 'function_name' is not a string")
            sizes = [
                self._size(entry, "workspace_size_bytes") for entry in self._entries(function, "workspace")
            ]
            workspaces[name] = max(sizes, default=0)
        return workspaces

    @property
    def constants_size_bytes(self) -> int:
        """Size of the constants in the code; 0 if the archive does not declare it."""
        return sum(
            self._size(entry, "constants_size_bytes") for entry in self._entries(self._functions, "main")
        )

    @property
    def storage_sizes_bytes(self) -> List[int]:
        """Sizes of the pieces of memory of a graph executor.

        If tensors share a piece, metadata.json has the size of only one of them.
        """
        return [self._size(entry, "size_bytes") for entry in self._entries(self._memory, "sids")]

    @property
    def operators(self) -> Dict[str, List[TensorSpec]]:
        """Function name -> its arguments in order, inputs and outputs alike.

        Empty unless the style is "operator".
        """
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
        """Return the declarations of the "inputs" or "outputs" by name.

        Version 5 has no declarations: the result is then None.
        """
        found = None
        for entry in self._entries(self._functions, "main"):
            if key in entry:
                tensors = self._mapping(entry[key], key)
                found = {name: self._declaration(name, tensor) for name, tensor in tensors.items()}
            if found:
                break
        return found

    @property
    def about(self) -> Dict[str, Any]:
        """Facts that the compiler of this platform wrote about the model; empty for other archives."""
        return dict(self._mapping(self._module.get("about", {}), "about"))

    def names_in_order(self, key: str) -> Optional[List[str]]:
        """Return the names of the "inputs" or "outputs" in the order of the code; None without a list.

        Only the compiler of this platform lists them.
        """
        if "tensors" not in self._module:
            return None
        names = self._mapping(self._module["tensors"], "tensors").get(key)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.refuse(f"has an invalid metadata.json: 'tensors' has no list of {key}")
        return list(names)

    def checked(self, spec: TensorSpec) -> TensorSpec:
        """Return a tensor unchanged.

        Raises:
            ArchiveError: No device supports its type or size.
        """
        try:
            check_tensor(spec.dtype, spec.shape)
        except ValueError as error:
            self.refuse(f"declares an invalid tensor {spec.name[:80]!r}: {error}")
        if spec.size_bytes > MAX_TENSOR_BYTES:
            self.refuse(
                f"declares {spec.size_bytes:,} bytes for tensor {spec.name[:80]!r}: "
                f"expected at most {MAX_TENSOR_BYTES:,}"
            )
        return spec

    def refuse(self, what: str, next_step: str = EXPORT_AGAIN) -> NoReturn:
        """Raise ArchiveError.

        Args:
            what: Predicate of a sentence about the archive, without full stop.
            next_step: Imperative sentence.
        """
        raise ArchiveError(f"{self.path} {what}.", next_step)

    def _parse(self, content: bytes) -> Any:
        try:
            return json.loads(content.decode("utf-8"), parse_int=bounded_int)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
            raise ArchiveError(
                f"{self.path} has a metadata.json that is not valid JSON: {reason}.", EXPORT_AGAIN
            ) from error

    def _read_version(self, metadata: Mapping[str, Any]) -> int:
        version = metadata.get("version")
        supported = ", ".join(str(known) for known in SUPPORTED_VERSIONS)
        if version is None:
            self.refuse(f"has a metadata.json without a version: expected one of {supported}")
        if isinstance(version, bool) or version not in SUPPORTED_VERSIONS:
            shown = json.dumps(version)[:40]
            self.refuse(
                f"has an unsupported Model Library Format version: expected one of {supported}, got {shown}"
            )
        return int(version)

    def _read_style(self, metadata: Mapping[str, Any]) -> str:
        if "modules" in metadata:
            return "full-model"
        style = metadata.get("style", "full-model")
        if style not in ("full-model", "operator"):
            self.refuse(f"has an unknown style: expected full-model or operator, got {str(style)[:40]!r}")
        return str(style)

    def _only_module(self, metadata: Mapping[str, Any]) -> Tuple[str, Mapping[str, Any]]:
        """Return the name and the metadata of the only module."""
        if "modules" in metadata:
            modules = self._mapping(metadata["modules"], "modules")
        else:
            modules = {str(metadata.get("model_name", "default")): metadata}
        names = sorted(modules)
        if not names:
            self.refuse("has a metadata.json without a module")
        if len(names) > 1:
            self.refuse(
                f"contains {len(names)} modules, expected 1: {some_names(names)}",
                "Export each module to a separate archive: call export_model_library_format once per module.",
            )
        name = names[0]
        if _PLAIN_NAME.fullmatch(name) is None:
            self.refuse(
                f"has an invalid module name {name[:80]!r}: "
                "expected at most 100 letters, digits and ._- without a leading . or -",
                "Build the model with a mod_name of letters, digits and underscores, and export it again.",
            )
        return name, self._mapping(modules[name], f"modules.{name}")

    def _read_executors(self) -> List[str]:
        if self.style == "operator":
            return []
        style = self._module.get("style", "full-model")
        if style != "full-model":
            self.refuse(
                f"has module {self.module!r} of unknown style: expected full-model, got {str(style)[:40]!r}"
            )
        executors = self._module.get("executors")
        if not isinstance(executors, list) or not executors:
            self.refuse(f"has a metadata.json without an executor for module {self.module!r}")
        unknown = [str(executor)[:40] for executor in executors if executor not in EXECUTORS]
        if unknown:
            self.refuse(f"requires an unsupported executor: expected aot or graph, got {unknown[0]!r}")
        return [str(executor) for executor in executors]

    def _mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.refuse(f"has an invalid metadata.json: {what[:80]!r} is not an object")
        return value

    def _entries(self, parent: Mapping[str, Any], key: str) -> List[Mapping[str, Any]]:
        value = parent.get(key, [])
        if not isinstance(value, list):
            self.refuse(f"has an invalid metadata.json: {key[:80]!r} is not a list")
        return [self._mapping(entry, key) for entry in value]

    def _size(self, parent: Mapping[str, Any], key: str) -> int:
        value = parent.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(f"has an invalid metadata.json: {key!r} is not a number of bytes")
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
            self.refuse(f"has an invalid metadata.json: tensor {name[:80]!r} has no valid dtype")
        return dtype

    def _argument(self, index: int, entry: Mapping[str, Any]) -> TensorSpec:
        name = entry.get("input_binding")
        name = name if isinstance(name, str) and name else f"arg{index}"
        shape = entry.get("shape")
        if not isinstance(shape, list) or not all(type(extent) is int and extent >= 0 for extent in shape):
            self.refuse(f"has an invalid metadata.json: argument {name[:80]!r} has no valid shape")
        dtype = self._dtype(entry, name)
        size = self._size(entry, "size_bytes")
        return self.checked(TensorSpec(name, dtype, tuple(shape), size, c_identifier(name)))


def some_names(names: List[str]) -> str:
    """Return names for a message: the first 20, each shortened to 80 characters."""
    return ", ".join(name[:80] for name in names[:20]) + (", ..." if len(names) > 20 else "")
