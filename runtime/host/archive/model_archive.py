# SPDX-License-Identifier: Apache-2.0
"""Model archives: Model Library Format, versions 5 to 7, as TVM 0.8 to 0.18 exports them.

ModelArchive.open reads and checks a whole archive (see tar.py) and its metadata.json; everything else is
read when it is asked for. The layout of an archive, by file name:

    metadata.json                            always
    codegen/host/src/<module>_lib<n>.c       C code generator ("lib<n>.c" in operator archives)
    codegen/host/lib/<module>_lib<n>.o       LLVM code generator
    codegen/host/include/tvmgen_<module>.h   C interface
    executor-config/graph/<module>.graph     graph executor (graph.json up to version 6)
    parameters/<module>.params               parameters that are not linked into the code
    src/<module>.relay                       for information (relay.txt up to version 6)
    runtime/, templates/                     TVM's own runtime, never needed here
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from functools import cached_property
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Tuple, Union

from runtime.host.archive.facts import (
    CInterface,
    Facts,
    MainFacts,
    c_identifier,
    facts_of_c_metadata,
    facts_of_graph,
    facts_of_main,
    read_c_interface,
)
from runtime.host.archive.file_names import NAME_RULE, is_plain
from runtime.host.archive.generated_c import Fault, Function, find_fault, functions_of
from runtime.host.archive.graph import parse_graph
from runtime.host.archive.relay_text import RelayFacts, facts_of_relay, relay_spelling
from runtime.host.archive.signature import Contradiction, Texts, inputs_of, outputs_of
from runtime.host.archive.tar import MODEL_ARCHIVE, PackedTar, TarFiles, open_packed, read_packed, write_files
from runtime.host.archive.tensor_specs import Declared, TensorSpec, UnknownOrder
from runtime.host.dtype import MAX_TENSOR_BYTES, check_tensor
from runtime.host.errors import ArchiveError

__all__ = ["SUPPORTED_VERSIONS", "CInterface", "ModelArchive", "TensorSpec"]

SUPPORTED_VERSIONS = (5, 6, 7)
_EXECUTORS = ("aot", "graph")

# Beginnings of the texts that describe tensors; their tails hold weights and operators.
_TEXT_WINDOW = 256 * 1024
_RELAY_WINDOW = 4 * 1024 * 1024
_METADATA_LIMIT = 16 * 1024 * 1024

# TVM takes any ASCII text as a module's name (mod_name) and writes it, as it is, into names of files and
# functions. Object files bear dots and dashes; anything else could break out of a C source or a path.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

# How generated C code takes its workspace: an array, where the compiler has planned it, or blocks.
_STATIC_WORKSPACE = b"static uint8_t global_workspace"
_ALLOCATES = "TVMBackendAllocWorkspace("
_ALLOCATION = re.compile(re.escape(_ALLOCATES) + r"\s*\d+,\s*\w+,\s*(?:\(uint64_t\))?(\d+)\s*,")

_EXPORT_AGAIN = "Export the model again with export_model_library_format of TVM 0.8 to 0.18."


class ModelArchive:
    """A model archive of one module.

    version: of the format. style: "full-model", or "operator" for the single operators that tuning builds.
    module: its name, of plain letters, digits, underscores, dots and dashes.
    executors: what can run it, "aot", "graph" or both; nothing for an operator.
    sources, objects, headers: names inside the archive of the generated C, object files and C headers.
    """

    def __init__(self, files: TarFiles) -> None:
        self.path = files.path
        self._files = files
        metadata = self._json("metadata.json", _METADATA_LIMIT)
        if not isinstance(metadata, dict):
            self._refuse("has a metadata.json that is not a JSON object")
        self.version = self._read_version(metadata)
        self.style = self._read_style(metadata)
        self.module, self._module = self._only_module(metadata)
        self.executors = self._read_executors()
        self._memory = self._mapping(self._module.get("memory", {}), "memory")
        self.sources = self._code("src", ".c")
        self.objects = self._code("lib", ".o")
        self.headers = self._code("include", ".h")
        self._check_code()

    @classmethod
    def open(cls, path: Union[str, os.PathLike[str]]) -> ModelArchive:
        """Read a model archive, plain or gzip, whatever its name ends in.

        Raises ArchiveError when the file is damaged, unsafe, of an unknown version, lacks a part, or holds
        several modules.
        """
        return cls.unpacked(read_packed(path, MODEL_ARCHIVE))

    @classmethod
    def unpacked(cls, packed: PackedTar) -> ModelArchive:
        """Return the model archive with this content. Raises ArchiveError, as open does."""
        files = open_packed(packed, MODEL_ARCHIVE)
        if "metadata.json" not in files:
            raise ArchiveError(
                f"{files.path} is not a model archive: it has no metadata.json.", _EXPORT_AGAIN
            )
        return cls(files)

    @property
    def executor(self) -> Optional[str]:
        """The executor to use: "aot" where there is a choice; None for an operator."""
        return next((executor for executor in _EXECUTORS if executor in self.executors), None)

    @property
    def interface(self) -> str:
        """ "c" when the generated code is called through the struct types of a header, else "packed"."""
        return "packed" if self.c_interface is None else "c"

    @cached_property
    def c_interface(self) -> Optional[CInterface]:
        """How to call the module through its C interface; None when it has none."""
        wanted = f"tvmgen_{c_identifier(self.module)}.h".lower()
        # TVM lowers the case of the module's name in this header and keeps it elsewhere.
        name = next((name for name in self.headers if name.lower().endswith(f"/{wanted}")), None)
        if name is None or self.executor != "aot":
            return None
        interface = read_c_interface(name.rpartition("/")[2], self._text(name))
        if interface is None:
            self._refuse(f"has a C interface header {name} that declares no run function")
        return interface

    @cached_property
    def has_system_library(self) -> bool:
        """The generated code has TVMSystemLibEntryPoint: a host-driven firmware finds its functions by it."""
        return any(
            self._files.find(name, b"TVMSystemLibEntryPoint") >= 0 for name in (*self.sources, *self.objects)
        )

    @cached_property
    def workspace_size_bytes(self) -> int:
        """Most memory in use at one time, as the compiler planned it; 0 when the archive does not tell."""
        if self.style == "operator":
            return 0
        return sum(
            self._size(entry, "workspace_size_bytes") for entry in self._entries(self._functions, "main")
        )

    @cached_property
    def operator_workspace_size_bytes(self) -> int:
        """Most workspace that a single operator allocates while it runs."""
        sizes = [
            self._size(entry, "workspace_size_bytes")
            for function in self._entries(self._functions, "operator_functions")
            for entry in self._entries(function, "workspace")
        ]
        return max(sizes, default=0)

    @cached_property
    def storage_sizes_bytes(self) -> List[int]:
        """Every piece of memory that a graph executor allocates: for inputs, outputs, intermediates; none for
        AOT. By the graph: where tensors share a piece, metadata.json tells the size of one of them."""
        graph = self.graph_json()
        if graph is not None:
            with contextlib.suppress(ArchiveError):
                return [size for size, _ in parse_graph(graph).storage_bytes().values()]
        return [self._size(entry, "size_bytes") for entry in self._entries(self._memory, "sids")]

    @cached_property
    def tensors_of_calls(self) -> List[List[int]]:
        """For each call that a host makes in an inference, the numbers of dimensions of its tensors."""
        graph = self.graph_json()
        if graph is not None:
            with contextlib.suppress(ArchiveError):
                return [[len(shape) for _, shape in call.arguments] for call in parse_graph(graph).calls]
        if self.main is not None and self.executor == "aot":
            ndims = [len(spec.shape or ()) for spec in (*self.inputs, *self.outputs)]
            return [[*ndims, *(1 for _ in self.main.names[len(ndims) :])]]
        return []

    @property
    def most_dimensions(self) -> int:
        """Of all tensors that a host names: the largest number of dimensions."""
        named = [len(spec.shape or ()) for spec in (*self.inputs, *self.outputs)]
        named += [len(spec.shape or ()) for specs in self.operators.values() for spec in specs]
        return max([*named, *(ndim for call in self.tensors_of_calls for ndim in call)], default=0)

    @cached_property
    def static_workspace_bytes(self) -> int:
        """The part of the workspace that the generated C code has set aside as an array of its own."""
        size = 0
        for name in self.sources:
            start = self._files.find(name, _STATIC_WORKSPACE)
            if start >= 0:
                declared = re.match(r"\w*\[(\d+)\]", self._text(name, start + len(_STATIC_WORKSPACE), 64))
                size += int(declared[1]) if declared else 0
        return size

    @cached_property
    def allocated_bytes(self) -> Optional[List[int]]:
        """Each block of workspace that the generated C code asks for; None where that cannot be read."""
        if self.objects:
            return None
        code = [self._text(name) for name in self.sources]
        sizes = [size for text in code for size in _ALLOCATION.findall(text)]
        if len(sizes) != sum(text.count(_ALLOCATES) for text in code):
            return None
        return [int(size) for size in sizes]

    @cached_property
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

    @cached_property
    def main(self) -> Optional[MainFacts]:
        """What the main function of the LLVM code generator takes; None for other code, and where its checks,
        which tell it, were compiled out."""
        return facts_of_main(entry_name(self.module), map(self.read, self.objects))

    @cached_property
    def inputs(self) -> List[TensorSpec]:
        """Inputs in the order of the generated code. An operator's are not told apart from its outputs."""
        return self._tensors("input", inputs_of)

    @cached_property
    def outputs(self) -> List[TensorSpec]:
        """Outputs in the order of the generated code. Two may have one name."""
        return self._tensors("output", outputs_of)

    def _tensors(self, kind: str, read: Callable[[Texts], List[TensorSpec]]) -> List[TensorSpec]:
        if self.style == "operator":
            return []
        try:
            return [self._checked(spec) for spec in read(self._texts)]
        except ValueError as error:
            self._refuse(f"declares what no device has as {kind}: {str(error)[:200]}")
        except UnknownOrder as error:
            names = _some([repr(name) for name in error.names])
            self._refuse(
                f"does not tell which of its {kind}s is which: "
                + (f"{error.why} ({names})" if error.why else f"{names} may stand at the same place"),
                f"Give the {kind}s names that differ in more than signs and accents, and export it again.",
            )
        except Contradiction as error:
            self._refuse(error.what, f"Give each {kind} a name of its own, and export the model again.")
        except LookupError as error:
            self._refuse(f"does not say the type and size of {kind} {error.args[0]!r}")

    def _checked(self, spec: TensorSpec) -> TensorSpec:
        """Raise ArchiveError for a tensor of a type or size that no device has."""
        try:
            check_tensor(spec.dtype, spec.shape)
        except ValueError as error:
            self._refuse(f"declares {error} as {spec.name[:80]!r}")
        if spec.size_bytes > MAX_TENSOR_BYTES:
            self._refuse(f"declares {spec.size_bytes:,} bytes for the tensor {spec.name[:80]!r}")
        return spec

    @cached_property
    def functions(self) -> Dict[str, Function]:
        """The functions that its C sources define, by name."""
        return functions_of(map(self.text, self.sources))

    @property
    def names_in_main(self) -> List[str]:
        """What the main function of C code calls its tensors; empty where it has other arguments."""
        main = self.functions.get(entry_name(self.module))
        return [] if main is None else main.handles

    @property
    def fault(self) -> Optional[Fault]:
        """What the C of an AOT model forgets to write; None where nothing was found."""
        return self._followed[1]

    @property
    def is_followed(self) -> bool:
        """Whether the code of an AOT model is C of the known form, so that `fault` is a verdict."""
        return self._followed[0]

    @cached_property
    def _followed(self) -> Tuple[bool, Optional[Fault]]:
        if self.executor != "aot" or not self.sources:
            return False, None
        sizes = [spec.size_bytes for spec in self.outputs]
        joined = []
        if self.relay_facts is not None:
            spelled = {relay_spelling(spec.name): index for index, spec in enumerate(self.inputs)}
            joined = [(taker, spelled[name]) for taker, name in self.relay_facts.joined if name in spelled]
        return find_fault(self.functions, entry_name(self.module), len(self.inputs), sizes, joined)

    def graph_json(self) -> Optional[str]:
        """The graph that a graph executor runs; None for AOT."""
        name = self._graph_name()
        return None if name is None else self._text(name)

    def params(self) -> Optional[bytes]:
        """Parameters that must be set before the first run, as TVM saves them; None when there are none."""
        name = f"parameters/{self.module}.params"
        return self._files.read(name) if name in self._files else None

    def unpack(self, directory: Union[str, os.PathLike[str]]) -> None:
        """Write the archive, less the copy of TVM's own runtime, to a directory that is missing or empty.

        All of it or nothing. Raises ArchiveError when the disk refuses or the directory is in use.
        """
        names = [name for name in self._files.names() if not name.startswith(("runtime/", "templates/"))]
        write_files(self._files, names, directory)

    def read(self, name: str) -> bytes:
        """The content of one of its files, such as an object."""
        return self._files.read(name)

    def text(self, name: str) -> str:
        """The same as text; bytes that are not UTF-8 are replaced."""
        return self._text(name)

    def holds(self, name: str, pattern: bytes) -> bool:
        """Whether one of its files has these bytes in it."""
        return self._files.find(name, pattern) >= 0

    # What open() checks.

    def _refuse(self, what: str, next_step: str = _EXPORT_AGAIN) -> NoReturn:
        raise ArchiveError(f"{self.path} {what}.", next_step)

    def _read_version(self, metadata: Mapping[str, Any]) -> int:
        version = metadata.get("version")
        supported = ", ".join(str(known) for known in SUPPORTED_VERSIONS)
        if version is None:
            self._refuse(f"has a metadata.json without a version (supported: {supported})")
        if isinstance(version, bool) or version not in SUPPORTED_VERSIONS:
            shown = json.dumps(version)[:40]
            self._refuse(
                f"is of Model Library Format version {shown}, which is unknown (supported: {supported})"
            )
        return int(version)

    def _read_style(self, metadata: Mapping[str, Any]) -> str:
        if "modules" in metadata:
            return "full-model"
        style = metadata.get("style", "full-model")
        if style not in ("full-model", "operator"):
            self._refuse(f"is of the unknown style {str(style)[:40]!r} (supported: full-model, operator)")
        return str(style)

    def _only_module(self, metadata: Mapping[str, Any]) -> Tuple[str, Mapping[str, Any]]:
        """The name of the one module, and what metadata.json says about it."""
        if "modules" in metadata:
            modules = self._mapping(metadata["modules"], "modules")
        else:
            modules = {str(metadata.get("model_name", "default")): metadata}
        names = sorted(modules)
        if not names:
            self._refuse("names no module in its metadata.json")
        if len(names) > 1:
            self._refuse(
                f"holds {len(names)} modules: {_some(names)}",
                "Export each to an archive of its own: one call of export_model_library_format for each.",
            )
        name = names[0]
        if _PLAIN_NAME.fullmatch(name) is None:
            self._refuse(
                f"holds a module called {name[:80]!r}, and no function in C can be called so",
                "Build the model with a mod_name of letters, digits and underscores, and export it again.",
            )
        return name, self._mapping(modules[name], f"modules.{name}")

    def _read_executors(self) -> List[str]:
        if self.style == "operator":
            return []
        style = self._module.get("style", "full-model")
        if style != "full-model":
            self._refuse(f"holds module {self.module!r} of the unknown style {str(style)[:40]!r}")
        executors = self._module.get("executors")
        if not isinstance(executors, list) or not executors:
            self._refuse(f"does not say in its metadata.json which executor runs module {self.module!r}")
        unknown = [str(executor)[:40] for executor in executors if executor not in _EXECUTORS]
        if unknown:
            self._refuse(f"is made for the executor {unknown[0]!r}, which is unknown (supported: aot, graph)")
        return [str(executor) for executor in executors]

    def _code(self, folder: str, *endings: str) -> List[str]:
        """Names of the generated files in one folder of each target."""
        pattern = re.compile(f"codegen/[^/]+/{folder}/.+")
        names = (name for name in self._files.names() if name.endswith(endings) and pattern.fullmatch(name))
        return sorted(names, key=_natural)

    def _check_code(self) -> None:
        for name in self._files.names():
            if name.startswith("codegen/") and not is_plain(name):
                self._refuse(
                    f"has a file {name[:120]!r}: {NAME_RULE}", "Rename it, or export the model again."
                )
        foreign = self._code("src", ".cc", ".cpp")
        if foreign:
            self._refuse(
                f"holds C++ sources ({foreign[0]}), which a platform does not compile",
                "Build the model for a target with the c or llvm code generator.",
            )
        if not self.sources and not self.objects:
            self._refuse(
                f"holds no generated code for module {self.module!r}: codegen/ has no .c and no .o file"
            )
        if "graph" in self.executors and self._graph_name() is None:
            self._refuse(
                f"is made for the graph executor but has no graph (executor-config/graph/{self.module}.graph)"
            )

    def _graph_name(self) -> Optional[str]:
        candidates = (f"executor-config/graph/{self.module}.graph", "executor-config/graph/graph.json")
        return next((name for name in candidates if name in self._files), None)

    # Reading, with every type checked: metadata.json may hold anything.

    def _text(self, name: str, start: int = 0, limit: Optional[int] = None) -> str:
        return self._files.read(name, start, limit).decode("utf-8", "replace")

    def _json(self, name: str, limit: int) -> Any:
        if self._files.size(name) > limit:
            self._refuse(f"has a {name} of more than {limit:,} bytes")
        try:
            return json.loads(self._files.read(name).decode("utf-8"), parse_int=_json_int)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it is nested too deep"
            raise ArchiveError(
                f"{self.path} has a {name} that is not JSON: {reason}.", _EXPORT_AGAIN
            ) from error

    def _mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self._refuse(f"has a metadata.json in which {what[:80]!r} is not an object")
        return value

    def _entries(self, parent: Mapping[str, Any], key: str) -> List[Mapping[str, Any]]:
        value = parent.get(key, [])
        if not isinstance(value, list):
            self._refuse(f"has a metadata.json in which {key[:80]!r} is not a list")
        return [self._mapping(entry, key) for entry in value]

    def _size(self, parent: Mapping[str, Any], key: str) -> int:
        value = parent.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._refuse(f"has a metadata.json in which {key!r} is not a number of bytes")
        return value

    @property
    def _functions(self) -> Mapping[str, Any]:
        return self._mapping(self._memory.get("functions", {}), "functions")

    def _declared(self, key: str) -> Optional[Dict[str, Declared]]:
        """What metadata.json says about the inputs or the outputs; None where it says nothing (version 5)."""
        found = None
        for entry in self._entries(self._functions, "main"):
            if key in entry:
                tensors = self._mapping(entry[key], key)
                found = {name: self._declaration(name, tensor) for name, tensor in tensors.items()}
            if found:
                break
        return found

    def _declaration(self, name: str, value: Any) -> Declared:
        tensor = self._mapping(value, name)
        return Declared(self._dtype(tensor, name), self._size(tensor, "size"))

    def _dtype(self, tensor: Mapping[str, Any], name: str) -> str:
        dtype = tensor.get("dtype")
        if not isinstance(dtype, str) or re.fullmatch(r"[a-z]+[0-9]*(?:x[0-9]+)?", dtype) is None:
            self._refuse(f"has a metadata.json in which tensor {name[:80]!r} has no type")
        return dtype

    def _argument(self, index: int, entry: Mapping[str, Any]) -> TensorSpec:
        name = entry.get("input_binding")
        name = name if isinstance(name, str) and name else f"arg{index}"
        shape = entry.get("shape")
        if not isinstance(shape, list) or not all(type(extent) is int and extent >= 0 for extent in shape):
            self._refuse(f"has a metadata.json in which argument {name[:80]!r} has no shape")
        dtype = self._dtype(entry, name)
        size = self._size(entry, "size_bytes")
        return self._checked(TensorSpec(name, dtype, tuple(shape), size, c_identifier(name)))

    # The texts that know order and shapes.

    @cached_property
    def _texts(self) -> Texts:
        return Texts(
            inputs=self._declared("inputs"),
            outputs=self._declared("outputs"),
            graph=self._graph_facts,
            code=self._c_facts,
            main=self.main,
            c_interface=self.c_interface,
            relay=self.relay_facts,
            has_relay=self._relay_name() is not None,
        )

    @cached_property
    def _graph_facts(self) -> Optional[Facts]:
        name = self._graph_name()
        if name is None:
            return None
        params = self.params()
        names = set()
        if params:
            from runtime.host.archive.params import parse_params

            names = set(parse_params(params))
        return facts_of_graph(self._json(name, _METADATA_LIMIT), names)

    @cached_property
    def _c_facts(self) -> Optional[Facts]:
        """From the one C source that defines the metadata, if there is one."""
        for name in self.sources:
            start = self._files.find(name, b"kTvmgenMetadata")
            if start >= 0:
                return facts_of_c_metadata(self._text(name, max(0, start - 64), _TEXT_WINDOW))
        return None

    @cached_property
    def relay_facts(self) -> Optional[RelayFacts]:
        """What the Relay text says of the model; None where there is none, or none that is understood."""
        name = self._relay_name()
        if name is None:
            return None
        return facts_of_relay(self._text(name, self._files.find(name, b"def @main("), _RELAY_WINDOW))

    def _relay_name(self) -> Optional[str]:
        candidates = (f"src/{self.module}.relay", "src/relay.txt")
        names = (name for name in candidates if name in self._files)
        return next((name for name in names if self.holds(name, b"def @main(")), None)


def entry_name(module: str) -> str:
    """The main function of a module, in the system library. TVM puts the module's name in as it is."""
    return f"tvmgen_{module}___tvm_main__"


def metadata_name(module: str) -> str:
    """The function that describes a module, which the C code generator writes beside the main function."""
    return f"tvmgen_{module}_get_c_metadata"


def _natural(name: str) -> List[Tuple[int, str]]:
    """A sort key by which lib2.c comes before lib10.c."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    ]


def _json_int(text: str) -> int:
    """An int of JSON. Python takes quadratic time for thousands of digits; no size in an archive has 20."""
    if len(text) > 20:
        raise ValueError("a number has more than 20 digits")
    return int(text)


def _some(names: List[str]) -> str:
    return ", ".join(name[:80] for name in names[:20]) + (", ..." if len(names) > 20 else "")
