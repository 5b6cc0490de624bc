# SPDX-License-Identifier: Apache-2.0
"""C files of a compiled model.

Two files. The first has constants, kernels, the arena and the entry that a firmware without any runtime
calls:

    void tvmgen_MODULE_infer(const void *in0, ..., void *out0, ...);

The second has what the device runtime needs: the packed entry, the description of the tensors, and the
registry of the system library.
"""

from __future__ import annotations

from typing import Final, List, Mapping, Sequence, Tuple

from runtime.host.archive.facts import c_identifier
from runtime.host.compile.constants_c import c_values
from runtime.host.compile.kernel_c import CKernel, c_type
from runtime.host.compile.library.replacement import sources
from runtime.host.compile.onnx_model import Value
from runtime.host.compile.placement import Placement
from runtime.host.compile.program import Program, Tensor
from runtime.host.dtype import DType, describe

ARENA: Final = "global_workspace"  # the host tools find its size under this name of TVM's C code
ALIGNED: Final = 16  # bytes, as in TVM's C code
_DL_CODES: Final = {"int": 0, "uint": 1, "float": 2, "bool": 1}


def prefix(module: str) -> str:
    """Return the prefix of the C names of a module."""
    return f"tvmgen_{module}"


def model_c(module: str, program: Program, kernels: Mapping[str, CKernel], placement: Placement) -> str:
    """Return the file with constants, kernels, arena and the plain entry."""
    used = _used_constants(program, placement)
    lines = [
        "// Kernels: TVM's code generator for target c. Everything around them: microtvm-template.",
        "#include <float.h>",
        "#include <math.h>",
        "#include <stdbool.h>",
        "#include <stdint.h>",
        "#include <string.h>",
        "",
    ]
    lines += [_constant(tensor) for tensor in program.constants if tensor in used]
    called = dict.fromkeys(call.kernel for call in program.calls)
    lines += sources([kernels[name] for name in called])
    lines += [kernels[name].code for name in called]
    if placement.arena_bytes:
        lines += [
            f'__attribute__((section(".bss.noinit.tvm"), aligned({ALIGNED})))',
            f"static uint8_t {ARENA}[{placement.arena_bytes}];",
            "",
        ]
    lines += [f"{_entry(module, program)};", f"{_entry(module, program)} {{"]
    lines += [f"  {line}" for line in _body(program, kernels, placement)]
    lines += ["}", ""]
    return "\n".join(lines)


def infer_h(module: str, inputs: Sequence[Value], outputs: Sequence[Value], program: Program) -> str:
    """Return the header of the plain entry, for a firmware that calls it without a runtime."""
    guard = f"{prefix(module)}_infer_h".upper()
    tensors = [
        *((f"in{index}", *each) for index, each in enumerate(zip(inputs, program.inputs))),
        *((f"out{index}", *each) for index, each in enumerate(zip(outputs, program.outputs))),
    ]
    lines = [
        "// Run the model once. All memory is static, so that only one call may run at a time.",
        "// Each argument is aligned as its C type; arguments do not overlap.",
        "// Compile the model with -fno-strict-aliasing: its arena holds tensors of several types.",
        "//",
        *(
            f"//   {argument}: {c_identifier(value.name)[:80]}, {describe(value.dtype, value.shape)}, "
            f"{tensor.size_bytes} bytes"
            for argument, value, tensor in tensors
        ),
        f"#ifndef {guard}",
        f"#define {guard}",
        f"{_entry(module, program)};",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def library_c(module: str, program: Program) -> str:
    """Return the file with the packed entry, the description of the tensors and the registry."""
    name = prefix(module)
    lines = [
        "#include <stdint.h>",
        "#include <tvm/runtime/c_runtime_api.h>",
        "#include <tvm/runtime/crt/module.h>",
        "#include <tvm/runtime/metadata_types.h>",
        "",
        f"{_entry(module, program)};",
        "",
        *_description(name, program),
        *_packed(f"{name}_run"),
        *_arguments_of(module, program),
        "  return 0;",
        "}",
        "",
        *_packed(f"{name}_get_c_metadata"),
        "  (void)args;",
        "  out_value[0].v_handle = (void *)&kTvmgenMetadata;",
        "  out_type_code[0] = kTVMOpaqueHandle;",
        "  return 0;",
        "}",
        "",
        "static const TVMBackendPackedCFunc functions[] = {",
        f"    (TVMBackendPackedCFunc){name}_run, (TVMBackendPackedCFunc){name}_get_c_metadata}};",
        "static const TVMFuncRegistry registry = {",
        f'    "\\2\\0{name}_run\\0{name}_get_c_metadata\\0", functions}};',
        "static const TVMModule system_library = {&registry};",
        "const TVMModule *TVMSystemLibEntryPoint(void) { return &system_library; }",
        "",
    ]
    return "\n".join(lines)


def _entry(module: str, program: Program) -> str:
    parameters = [
        *(f"const void *in{index}" for index in range(len(program.inputs))),
        *(f"void *out{index}" for index in range(len(program.outputs))),
    ]
    return f"void {prefix(module)}_infer({', '.join(parameters)})"


def _used_constants(program: Program, placement: Placement) -> set[Tensor]:
    used = {tensor.root for call in program.calls for tensor in call.inputs}
    return used | {tensor for _, tensor in placement.copies}


def _constant(tensor: Tensor) -> str:
    assert tensor.data is not None
    values = c_values(tensor.data)
    rows = [", ".join(values[at : at + 8]) for at in range(0, len(values), 8)]
    body = ",\n  ".join(rows) or "0"
    return (
        f"static const {c_type(tensor.dtype)} {tensor.name}[{max(1, len(values))}]\n"
        f'    __attribute__((section(".rodata.tvm"), aligned({ALIGNED}))) = {{\n  {body}\n}};\n'
    )


def _body(program: Program, kernels: Mapping[str, CKernel], placement: Placement) -> List[str]:
    inputs = [f"in{index}" for index in range(len(program.inputs))]
    lines = []

    def address(tensor: Tensor) -> str:
        root = tensor.root
        if root in placement.places:
            place = placement.places[root]
            return f"(const void *){place}" if root.data is None and place.startswith("in") else place
        return f"(void *)({ARENA} + {placement.offsets[root]})"

    for number, call in enumerate(program.calls):
        kernel = kernels[call.kernel]
        arguments = [address(tensor) for tensor in call.tensors]
        if kernel.scratch_bytes:
            arguments.append(f"{ARENA} + {placement.scratch[number]}")
        lines.append(f"{kernel.name}({', '.join(arguments)});")
    for index, tensor in placement.copies:
        lines.append(f"memcpy(out{index}, {address(tensor)}, {tensor.size_bytes});")
    text = "\n".join(lines)
    return [*(f"(void){name};" for name in inputs if f"){name}" not in text), *lines]


def _description(name: str, program: Program) -> List[str]:
    lines = []
    sides: Sequence[Tuple[str, List[Tensor]]] = (("inputs", program.inputs), ("outputs", program.outputs))
    for side, tensors in sides:
        for index, tensor in enumerate(tensors):
            extents = ", ".join(f"{extent}L" for extent in tensor.shape) or "0L"
            lines.append(
                f"static const int64_t kTvmgenMetadata_{side}_{index}_shape[{max(1, len(tensor.shape))}] = "
                f"{{{extents}}};"
            )
        lines.append(f"static const struct TVMTensorInfo kTvmgenMetadata_{side}[{max(1, len(tensors))}] = {{")
        for index, tensor in enumerate(tensors):
            dtype = DType.parse(tensor.dtype)
            lines.append(
                f'    {{"{tensor_name(side, index)}", kTvmgenMetadata_{side}_{index}_shape, '
                f"{len(tensor.shape)}L, {{{dtype.code}, {dtype.bits}, 1}}}},"
            )
        lines.append("};")
    lines += [
        "static const struct TVMMetadata kTvmgenMetadata[1] = {",
        f"    {{1L, kTvmgenMetadata_inputs, {len(program.inputs)}L, kTvmgenMetadata_outputs, "
        f'{len(program.outputs)}L, 0, 0L, 0, 0L, "{name}"}}}};',
        "",
    ]
    return lines


def tensor_name(side: str, index: int) -> str:
    """Return the name of an input or output in the C files; metadata.json has the names of the model."""
    return f"{side[:-1]}{index}"


def _packed(name: str) -> List[str]:
    return [
        f"TVM_DLL int32_t {name}(TVMValue *args, int *type_codes, int num_args, TVMValue *out_value,",
        "                        int *out_type_code, void *resource_handle) {",
        "  (void)type_codes;",
        "  (void)num_args;",
        "  (void)out_value;",
        "  (void)out_type_code;",
        "  (void)resource_handle;",
    ]


def _arguments_of(module: str, program: Program) -> List[str]:
    count = len(program.inputs) + len(program.outputs)
    arguments = [f"((DLTensor *)args[{index}].v_handle)->data" for index in range(count)]
    unused = [] if count else ["  (void)args;"]
    return [*unused, f"  {prefix(module)}_infer({', '.join(arguments)});"]
