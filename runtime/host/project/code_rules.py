# SPDX-License-Identifier: Apache-2.0
"""Rules that find known mistakes in the code of a model archive before it is built.

Each rule reads one archive and returns a Finding or None. The rules cover code of TVM's code generators. The
compiler reports mistakes in other code.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Callable, Final, Iterable, Optional, Tuple

from runtime.host.archive.c_names import is_identifier, is_reserved
from runtime.host.archive.facts import c_identifier, is_constants, is_workspace
from runtime.host.archive.relay_text import CONSTANT
from runtime.host.project.finding import Finding
from runtime.host.project.kernel_rules import wrong_kernel

if TYPE_CHECKING:
    from runtime.host.archive.model_archive import ModelArchive


CodeRule = Callable[["ModelArchive"], Optional[Finding]]

# In a cast or a declaration only, since a tensor may have such a name. Each pattern begins with a literal, so
# that re skips the megabytes of numbers in a model's code.
VECTORS: Final = tuple(
    re.compile(rb"%b(?:[2-9]|1[0-6])(?=\*?\)| v_)" % scalar)
    for scalar in (b"float", b"double", b"int8_t", b"int16_t", b"int32_t", b"int64_t")
)
HALF: Final = re.compile(rb"half(?=\*?\)|\d* \w+\[|\d* v_|\* \w+[,)])")
LOOKED_UP: Final = re.compile(rb'TVMBackendGetFuncFromEnv\([^,\n]{0,200}, "([^"\n]{0,200})"')
LOOKED_UP_BY_OBJECT: Final = re.compile(rb"\.tvm_func\.([\w.]+)\0")
WRAPPER: Final = re.compile(rb"TVMValue tensors\[(\d{1,6})\];")
SET_ARGUMENT: Final = re.compile(rb"^ *tensors\[\d+\] = ", re.MULTILINE)
TAKES_DATA: Final = re.compile(rb"___tvm_main__\(void\* \w+(?:,void\*|\))")
MEMBER: Final = re.compile(r"\b(inputs|outputs)->([^\W\d]\w*)")
PARAMETERS: Final = re.compile(r"___tvm_main__\(([^()\n]{0,100000})\);")
INCLUDED: Final = re.compile(r"#include [<\"](tvmgen_[^>\"\n]{0,200}\.h)[>\"]")

KERNEL: Final = re.compile(rb"\0tvmgen_\w{1,100}?_fused_(\w{1,200})(?=\0)")
NUMBER: Final = re.compile(rb"_\d+_?\Z")

RENAME: Final = (
    "Rename the tensor in the model, or export the model for the graph executor, which supports every name."
)


def module_name(archive: ModelArchive) -> Optional[Finding]:
    """Find a name of the module that is not a C identifier."""
    if archive.sources and c_identifier(archive.module) != archive.module:
        return Finding(
            f"contains C functions of the module {archive.module!r}, whose name is not a C identifier",
            f"Build the model with mod_name={c_identifier(archive.module)!r}, and export it again.",
        )
    return None


def vector_types(archive: ModelArchive) -> Optional[Finding]:
    """Find vector types such as float4, which TVM's C code generator writes but C does not have."""
    found = next(filter(None, (_first(archive, vector) for vector in VECTORS)), None)
    if found is None:
        return None
    return Finding(
        f"contains C code with the vector type {found[0].decode()}, which C does not have",
        'Build the model with PassContext(opt_level=3, config={"tir.disable_vectorize": True}).',
    )


def half_floats(archive: ModelArchive) -> Optional[Finding]:
    """Find the type half, which TVM's C code generator writes for float16 but C does not have."""
    if _first(archive, HALF) is None:
        return None
    return Finding(
        "contains C code with the type half (float16), which C does not have",
        "Convert the model to float32 before you build it, or use the llvm code generator.",
    )


def unpacked_main(archive: ModelArchive) -> Optional[Finding]:
    """Find an unpacked main function whose declarations in the system library and in its caller differ."""
    clashes = archive.interface == "packed" and archive.executor == "aot" and archive.has_system_library
    if clashes and _first(archive, TAKES_DATA) is not None:
        return Finding(
            "has the packed interface and unpacked-api, which TVM turns into C that does not compile",
            "Build the model with Executor('aot', {'interface-api': 'packed', 'unpacked-api': False}).",
        )
    return None


def memory_pools(archive: ModelArchive) -> Optional[Finding]:
    """Find a wrapper function that leaves some arguments of the main function unset."""
    wrapper = _first(archive, WRAPPER)
    if wrapper is None:
        return None
    body = wrapper.string[wrapper.end() : wrapper.string.find(b"\nreturn ", wrapper.end())]
    if len(SET_ARGUMENT.findall(body)) >= int(wrapper[1]):
        return None
    return Finding(
        "requires memory pools from its caller, which a platform does not provide",
        "Build the model without workspace_memory_pools and constant_memory_pools.",
    )


def missing_functions(archive: ModelArchive) -> Optional[Finding]:
    """Find functions of TVM's C++ runtime that the code looks up by name when it runs."""
    found = {name for source in archive.sources for name in LOOKED_UP.findall(archive.read(source))}
    for name in archive.objects:
        found.update(LOOKED_UP_BY_OBJECT.findall(archive.read(name)))
    names = sorted(name.decode("utf-8", "replace") for name in found if not name.startswith(b"tvmgen_"))
    if not names:
        return None
    return Finding(
        f"calls {', '.join(names)}, which exists in TVM's C++ runtime only",
        "Remove the operator from the model (argsort, topk and sort are examples), and compute it on the "
        "host.",
    )


def names_in_c(archive: ModelArchive) -> Optional[Finding]:
    """Find names of inputs and outputs that are invalid in C: TVM writes them into the main function."""
    if archive.executor != "aot" or not archive.sources:
        return None
    interface = archive.c_interface
    for kind, specs in (("input", archive.inputs), ("output", archive.outputs)):
        for spec in specs:
            # TVM replaces characters in the names of inputs, but not in the names of outputs.
            written = c_identifier(spec.name) if kind == "input" else spec.name
            if not is_identifier(written):
                return Finding(
                    f"has an {kind} with the name {spec.name!r}, which TVM turns into C that does not "
                    "compile",
                    RENAME,
                )
    members = [*interface.inputs, *interface.outputs] if interface else archive.names_in_main
    for name in members:
        if is_reserved(name):
            return Finding(f"has a tensor with the name {name!r}, which is reserved in C", RENAME)
    return None


def c_interface_header(archive: ModelArchive) -> Optional[Finding]:
    """Find a C interface header that does not match the code that includes it, as TVM 0.16 writes some."""
    interface = archive.c_interface
    if interface is None:
        return None
    for name in archive.sources:
        text = archive.text(name)
        included = INCLUDED.search(text)
        if included is None:
            continue
        if included[1] != interface.header:
            return Finding(
                f"includes the header {included[1]} but contains {interface.header}",
                "Build the model with a mod_name without capital letters, and export it again.",
            )
        declared = ",".join(PARAMETERS.findall(text)).split(",")
        parameters = [parameter.split("*")[-1].strip() for parameter in declared]
        doubled = next((name for name, count in Counter(parameters).items() if count > 1), None)
        if doubled is not None:
            return Finding(f"has several tensors that its C interface calls {doubled!r}", RENAME)
        for kind, member in MEMBER.findall(text):
            if member not in interface.members.get(kind, ()):
                return Finding(
                    f"uses {kind}->{member}, which its C interface {interface.header} does not have",
                    "Return the only output directly instead of in a tuple, or use the packed interface.",
                )
    return None


def llvm_arguments(archive: ModelArchive) -> Optional[Finding]:
    """Find an LLVM main function with unknown arguments, which a platform passes by position."""
    if archive.executor != "aot" or not archive.objects or archive.sources:
        return None
    if archive.main is None:
        return Finding(
            "contains a main function that does not describe its arguments",
            "Build the model without tir.disable_assert, or with the c code generator.",
        )
    arguments = archive.main.names
    more = arguments[len(archive.inputs) + len(archive.outputs) :]
    if any(map(is_constants, arguments)):
        return Finding(
            "requires its constants as arguments but does not contain them, because TVM's memory planner "
            "removed them",
            'Build the model with PassContext(config={"tir.usmp.enable": False}), or with the c code '
            "generator.",
        )
    if not all(map(is_workspace, more)) or len(arguments) < len(archive.inputs) + len(archive.outputs):
        return Finding(
            f"has a main function of {len(arguments)} arguments, which do not match its "
            f"{len(archive.inputs)} inputs and {len(archive.outputs)} outputs",
            "Give each input and output a unique name, and export the model again.",
        )
    shapeless = [spec.name for spec in (*archive.inputs, *archive.outputs) if spec.shape is None]
    if shapeless:
        return Finding(
            f"does not state the shape of {shapeless[0]!r}",
            "Export the model with the c code generator, or for the graph executor.",
        )
    return None


def joined_inputs(archive: ModelArchive) -> Optional[Finding]:
    """Find an AOT model of object files that may read a copy of a joined input that no kernel writes.

    TVM generates such code at optimization level 0. Object files do not state their level. The rule assumes
    level 0 for code that has no fused operators and allocates a workspace.
    """
    relay = archive.relay_facts
    if archive.executor != "aot" or not archive.objects or relay is None or not relay.joined:
        return None
    single = {name.replace(".", "_").encode() for name in relay.operators}
    names = {name for source in archive.objects for name in KERNEL.findall(archive.read(source))}
    names = {name for name in names if not name.endswith(b"_compute_")}  # inner parts of other kernels
    is_fused = any(NUMBER.sub(b"", name) not in single for name in names)
    if is_fused or not archive.workspace_size_bytes:
        return None
    operator, name = relay.joined[0]
    joined = "a constant" if name == CONSTANT else f"the input {name!r}"
    return Finding(
        f"joins {joined} to other tensors in {operator}, and its code may be of optimization level 0, "
        "at which TVM compiles this operator wrongly",
        "Build the model with opt_level=3, or export it for the graph executor.",
    )


def memory_that_nothing_writes(archive: ModelArchive) -> Optional[Finding]:
    """Find code that reads a tensor which no kernel writes, or that never writes an output."""
    fault = archive.fault
    if fault is None:
        return None
    if fault.output is None:
        return Finding(
            f"has code in which {fault.reader} reads a tensor that no kernel wrote, so the model's answers "
            "would be wrong",
            "Build the model with opt_level=3, or export it for the graph executor.",
        )
    return Finding(
        f"has code that never writes output {fault.output} ({archive.outputs[fault.output].name!r}): TVM's "
        "AOT code generator omits an output that is another tensor under a new name or shape",
        "Export the model for the graph executor, or return this tensor once and reshape it on the host.",
    )


RULES: Final[Tuple[CodeRule, ...]] = (
    vector_types,
    half_floats,
    unpacked_main,
    memory_pools,
    missing_functions,
    names_in_c,
    c_interface_header,
    llvm_arguments,
    joined_inputs,
    memory_that_nothing_writes,
    wrong_kernel,
)


def first_finding(archive: ModelArchive, has_extra_files: bool = False) -> Optional[Finding]:
    """Return the finding of the first rule that the code breaks; None for code without a known mistake.

    Args:
        archive: Model archive.
        has_extra_files: The owner adds C files, which may register functions that the model's code looks up.
    """
    rules = (rule for rule in RULES if not (has_extra_files and rule is missing_functions))
    return next(filter(None, (rule(archive) for rule in rules)), None)


def _first(archive: ModelArchive, pattern: re.Pattern[bytes]) -> Optional[re.Match[bytes]]:
    """Return the first match in the C sources, or None."""
    matches: Iterable[Optional[re.Match[bytes]]] = (
        pattern.search(archive.read(name)) for name in archive.sources
    )
    return next(filter(None, matches), None)
