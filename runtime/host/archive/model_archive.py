# SPDX-License-Identifier: Apache-2.0
"""Model archives: Model Library Format, versions 5 to 7, as TVM 0.8 to 0.18 exports them.

ModelArchive.open reads the archive, checks its tar with tar.py, and checks metadata.json. Other parts are
read on first access. The files of an archive:

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

import os
import re
from functools import cached_property
from typing import Callable, Dict, List, Optional, Tuple, Union

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
from runtime.host.archive.graph import Graph, parse_graph
from runtime.host.archive.metadata import EXECUTORS, EXPORT_AGAIN, SUPPORTED_VERSIONS, Metadata, some_names
from runtime.host.archive.params import Param, parse_params
from runtime.host.archive.relay_text import RelayFacts, facts_of_relay, relay_spelling
from runtime.host.archive.signature import Contradiction, Texts, inputs_of, outputs_of
from runtime.host.archive.tar import MODEL_ARCHIVE, PackedTar, TarFiles, open_packed, read_packed, write_files
from runtime.host.archive.tensor_specs import TensorSpec, UnknownOrder
from runtime.host.errors import ArchiveError

__all__ = ["SUPPORTED_VERSIONS", "CInterface", "ModelArchive", "TensorSpec"]

# Bytes to read of the texts that describe tensors; weights and operators follow.
_TEXT_WINDOW = 256 * 1024
_RELAY_WINDOW = 4 * 1024 * 1024
_TEXT_LIMIT = 16 * 1024 * 1024  # of metadata.json and of a graph

# Generated C code has a static workspace array if the compiler planned memory; else it allocates blocks.
_STATIC_WORKSPACE = b"static uint8_t global_workspace"
_ALLOCATES = "TVMBackendAllocWorkspace("
_ALLOCATION = re.compile(re.escape(_ALLOCATES) + r"\s*\d+,\s*\w+,\s*(?:\(uint64_t\))?(\d+)\s*,")


class ModelArchive:
    """A model archive with one module.

    Attributes:
        path: Path of the archive.
        metadata: Contents of metadata.json.
        version: Version of the Model Library Format.
        style: "full-model", or "operator" for the single operators that tuning builds.
        module: Name of the module, of ASCII letters, digits, underscores, dots and dashes.
        executors: Executors that can run the module: "aot", "graph" or both; empty for an operator.
        sources: Names of the generated C sources inside the archive.
        objects: Names of the object files inside the archive.
        headers: Names of the C headers inside the archive.
    """

    def __init__(self, files: TarFiles) -> None:
        self.path = files.path
        self._files = files
        if files.size("metadata.json") > _TEXT_LIMIT:
            raise ArchiveError(
                f"{files.path} has a metadata.json larger than {_TEXT_LIMIT:,} bytes.", EXPORT_AGAIN
            )
        self.metadata = Metadata(files.path, files.read("metadata.json"))
        self.version = self.metadata.version
        self.style = self.metadata.style
        self.module = self.metadata.module
        self.executors = self.metadata.executors
        self.sources = self._code("src", ".c")
        self.objects = self._code("lib", ".o")
        self.headers = self._code("include", ".h")
        self._check_code()

    @classmethod
    def open(cls, path: Union[str, os.PathLike[str]]) -> ModelArchive:
        """Read a model archive, plain or gzip; its file name does not matter.

        Raises:
            ArchiveError: The file is damaged, unsafe, of an unsupported version, lacks a
                part, or has several modules.
        """
        return cls.unpacked(read_packed(path, MODEL_ARCHIVE))

    @classmethod
    def unpacked(cls, packed: PackedTar) -> ModelArchive:
        """Return the model archive with the content of a tar.

        Raises:
            ArchiveError: The content is damaged, unsafe, of an unsupported version, lacks a
                part, or has several modules.
        """
        files = open_packed(packed, MODEL_ARCHIVE)
        if "metadata.json" not in files:
            raise ArchiveError(f"{files.path} is not a model archive: no metadata.json.", EXPORT_AGAIN)
        return cls(files)

    @property
    def executor(self) -> Optional[str]:
        """The executor to use: "aot" if there is a choice; None for an operator."""
        return next((executor for executor in EXECUTORS if executor in self.executors), None)

    @property
    def interface(self) -> str:
        """Interface of the generated code: "c" for struct types of a header, else "packed"."""
        return "packed" if self.c_interface is None else "c"

    @cached_property
    def c_interface(self) -> Optional[CInterface]:
        """The C interface of the module; None if it has none."""
        wanted = f"tvmgen_{c_identifier(self.module)}.h".lower()
        # TVM converts the module's name to lower case in the name of this header only.
        name = next((name for name in self.headers if name.lower().endswith(f"/{wanted}")), None)
        if name is None or self.executor != "aot":
            return None
        interface = read_c_interface(name.rpartition("/")[2], self._text(name))
        if interface is None:
            self.metadata.refuse(f"has a C interface header {name} without a run function")
        return interface

    @cached_property
    def has_system_library(self) -> bool:
        """True if the generated code has TVMSystemLibEntryPoint.

        A host-driven firmware finds its functions through this entry point.
        """
        return any(
            self._files.find(name, b"TVMSystemLibEntryPoint") >= 0 for name in (*self.sources, *self.objects)
        )

    @cached_property
    def workspace_size_bytes(self) -> int:
        """Peak memory in use, as planned by the compiler; 0 if the archive does not declare it."""
        return self.metadata.workspace_size_bytes

    @cached_property
    def operator_workspace_size_bytes(self) -> int:
        """Largest workspace that a single operator allocates while it runs."""
        return self.metadata.operator_workspace_size_bytes

    @cached_property
    def storage_sizes_bytes(self) -> List[int]:
        """Sizes of the pieces of memory that a graph executor allocates.

        The pieces hold inputs, outputs and intermediates. Empty for AOT. The graph is the preferred source:
        if tensors share a piece, metadata.json has the size of only one of them.
        """
        if self.graph is not None:
            return [size for size, _ in self.graph.storage_bytes().values()]
        return self.metadata.storage_sizes_bytes

    @cached_property
    def tensors_of_calls(self) -> List[List[int]]:
        """Number of dimensions of each tensor, for each call that the host makes in an inference."""
        if self.graph is not None:
            return [[len(shape) for _, shape in call.arguments] for call in self.graph.calls]
        if self.main is not None and self.executor == "aot":
            ndims = [len(spec.shape or ()) for spec in (*self.inputs, *self.outputs)]
            return [[*ndims, *(1 for _ in self.main.names[len(ndims) :])]]
        return []

    @property
    def most_dimensions(self) -> int:
        """The largest number of dimensions of all tensors that the host passes."""
        named = [len(spec.shape or ()) for spec in (*self.inputs, *self.outputs)]
        named += [len(spec.shape or ()) for specs in self.operators.values() for spec in specs]
        return max([*named, *(ndim for call in self.tensors_of_calls for ndim in call)], default=0)

    @cached_property
    def static_workspace_bytes(self) -> int:
        """Part of the workspace that the generated C code reserves as a static array."""
        size = 0
        for name in self.sources:
            start = self._files.find(name, _STATIC_WORKSPACE)
            if start >= 0:
                declared = re.match(r"\w*\[(\d+)\]", self._text(name, start + len(_STATIC_WORKSPACE), 64))
                size += int(declared[1]) if declared else 0
        return size

    @cached_property
    def allocated_bytes(self) -> Optional[List[int]]:
        """Sizes of the workspace blocks that the generated C code allocates.

        None if the archive has object files, or if the size of a block cannot be read.
        """
        if self.objects:
            return None
        code = [self._text(name) for name in self.sources]
        sizes = [size for text in code for size in _ALLOCATION.findall(text)]
        if len(sizes) != sum(text.count(_ALLOCATES) for text in code):
            return None
        return [int(size) for size in sizes]

    @cached_property
    def operators(self) -> Dict[str, List[TensorSpec]]:
        """Function name -> its arguments in order, inputs and outputs alike.

        Empty unless the style is "operator".
        """
        return self.metadata.operators

    @cached_property
    def main(self) -> Optional[MainFacts]:
        """Arguments of the main function of the LLVM code generator.

        None for other code, and for code that was compiled without the checks of its arguments.
        """
        return facts_of_main(entry_name(self.module), map(self.read, self.objects))

    @cached_property
    def inputs(self) -> List[TensorSpec]:
        """Inputs in the order of the generated code; empty for an operator."""
        return self._tensors("input", inputs_of)

    @cached_property
    def outputs(self) -> List[TensorSpec]:
        """Outputs in the order of the generated code; two outputs may have the same name."""
        return self._tensors("output", outputs_of)

    def _tensors(self, kind: str, read: Callable[[Texts], List[TensorSpec]]) -> List[TensorSpec]:
        if self.style == "operator":
            return []
        try:
            return [self.metadata.checked(spec) for spec in read(self._texts)]
        except ValueError as error:
            self.metadata.refuse(f"declares an invalid {kind}: {str(error)[:200]}")
        except UnknownOrder as error:
            names = some_names([repr(name) for name in error.names])
            self.metadata.refuse(
                f"has {kind}s in an unknown order: "
                + (f"{error.why} ({names})" if error.why else f"{names} fit the same position"),
                f"Rename the {kind}s so that their ASCII letters or digits differ, then export the model.",
            )
        except Contradiction as error:
            self.metadata.refuse(error.what, f"Give each {kind} a unique name, and export the model again.")
        except LookupError as error:
            self.metadata.refuse(f"does not declare the type and size of {kind} {error.args[0]!r}")

    @cached_property
    def functions(self) -> Dict[str, Function]:
        """Functions that the C sources define, by name."""
        return functions_of(map(self.text, self.sources))

    @property
    def names_in_main(self) -> List[str]:
        """Names of the tensors in the main function of C code.

        Empty if the main function has other arguments.
        """
        main = self.functions.get(entry_name(self.module))
        return [] if main is None else main.handles

    @property
    def fault(self) -> Optional[Fault]:
        """The first tensor that the C of an AOT model does not write; None if no fault was found."""
        return self._followed[1]

    @property
    def is_followed(self) -> bool:
        """True if the AOT code is C of the known form; `fault` is reliable only then."""
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

    @cached_property
    def graph(self) -> Optional[Graph]:
        """The graph that a graph executor runs; None for AOT.

        Raises:
            ArchiveError: The graph cannot be read.
        """
        name = self._graph_name()
        if name is None:
            return None
        if self._files.size(name) > _TEXT_LIMIT:
            self.metadata.refuse(f"has a {name} larger than {_TEXT_LIMIT:,} bytes")
        return parse_graph(self._text(name))

    @cached_property
    def parameters(self) -> Dict[str, Param]:
        """Parameters to set before the first run, by name; empty if there are none.

        Raises:
            ArchiveError: The file of parameters cannot be read.
        """
        name = f"parameters/{self.module}.params"
        return parse_params(self._files.read(name)) if name in self._files else {}

    def unpack(self, directory: Union[str, os.PathLike[str]]) -> None:
        """Write the archive to a directory, without the copy of TVM's own runtime.

        Args:
            directory: Directory that is missing or empty. Either all files are written or none.

        Raises:
            ArchiveError: A file cannot be written, or the directory is not empty.
        """
        names = [name for name in self._files.names() if not name.startswith(("runtime/", "templates/"))]
        write_files(self._files, names, directory)

    def read(self, name: str) -> bytes:
        """Return the content of a file of the archive, such as an object file."""
        return self._files.read(name)

    def text(self, name: str) -> str:
        """Return the content of a file of the archive as a string; invalid UTF-8 is replaced."""
        return self._text(name)

    def holds(self, name: str, pattern: bytes) -> bool:
        """Return whether a file of the archive contains these bytes."""
        return self._files.find(name, pattern) >= 0

    def _code(self, folder: str, *endings: str) -> List[str]:
        """Return the names of the generated files in one folder of each target."""
        pattern = re.compile(f"codegen/[^/]+/{folder}/.+")
        names = (name for name in self._files.names() if name.endswith(endings) and pattern.fullmatch(name))
        return sorted(names, key=_natural)

    def _check_code(self) -> None:
        for name in self._files.names():
            if name.startswith("codegen/") and not is_plain(name):
                self.metadata.refuse(
                    f"has a file {name[:120]!r}: {NAME_RULE}", "Rename the file, or export the model again."
                )
        foreign = self._code("src", ".cc", ".cpp")
        if foreign:
            self.metadata.refuse(
                f"contains C++ sources ({foreign[0]}), which a platform does not compile",
                "Build the model for a target with the c or llvm code generator.",
            )
        if not self.sources and not self.objects:
            self.metadata.refuse(
                f"contains no generated code for module {self.module!r}: codegen/ has no .c or .o file"
            )
        if "graph" in self.executors and self._graph_name() is None:
            self.metadata.refuse(
                f"requires the graph executor but has no graph (executor-config/graph/{self.module}.graph)"
            )

    def _graph_name(self) -> Optional[str]:
        candidates = (f"executor-config/graph/{self.module}.graph", "executor-config/graph/graph.json")
        return next((name for name in candidates if name in self._files), None)

    def _text(self, name: str, start: int = 0, limit: Optional[int] = None) -> str:
        return self._files.read(name, start, limit).decode("utf-8", "replace")

    @cached_property
    def _texts(self) -> Texts:
        return Texts(
            inputs=self.metadata.declared("inputs"),
            outputs=self.metadata.declared("outputs"),
            graph=self._graph_facts,
            code=self._c_facts,
            main=self.main,
            c_interface=self.c_interface,
            relay=self.relay_facts,
            has_relay=self._relay_name() is not None,
            input_names=self.metadata.names_in_order("inputs"),
            output_names=self.metadata.names_in_order("outputs"),
        )

    @cached_property
    def _graph_facts(self) -> Optional[Facts]:
        return None if self.graph is None else facts_of_graph(self.graph, self.parameters)

    @cached_property
    def _c_facts(self) -> Optional[Facts]:
        """Facts from the C source that defines the metadata; None if there is none."""
        for name in self.sources:
            start = self._files.find(name, b"kTvmgenMetadata")
            if start >= 0:
                return facts_of_c_metadata(self._text(name, max(0, start - 64), _TEXT_WINDOW))
        return None

    @cached_property
    def relay_facts(self) -> Optional[RelayFacts]:
        """Facts from the Relay text; None if there is no text or its form is unknown."""
        name = self._relay_name()
        if name is None:
            return None
        return facts_of_relay(self._text(name, self._files.find(name, b"def @main("), _RELAY_WINDOW))

    def _relay_name(self) -> Optional[str]:
        candidates = (f"src/{self.module}.relay", "src/relay.txt")
        names = (name for name in candidates if name in self._files)
        return next((name for name in names if self.holds(name, b"def @main(")), None)


def entry_name(module: str) -> str:
    """Return the name of the main function of a module in the system library.

    TVM inserts the name of the module unchanged.
    """
    return f"tvmgen_{module}___tvm_main__"


def metadata_name(module: str) -> str:
    """Return the name of the function that describes a module; only the C code generator writes it."""
    return f"tvmgen_{module}_get_c_metadata"


def _natural(name: str) -> List[Tuple[int, str]]:
    """Return a sort key that puts lib2.c before lib10.c."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    ]
