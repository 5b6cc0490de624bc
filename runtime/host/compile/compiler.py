# SPDX-License-Identifier: Apache-2.0
"""Compilation of a model in Relax to a model archive."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Sequence

from runtime.host.compile.emit_c import infer_h, library_c, model_c
from runtime.host.compile.errors import ModelError
from runtime.host.compile.kernel_c import CKernel, c_kernel
from runtime.host.compile.kernel_text import NEXT, read_kernels
from runtime.host.compile.library.replacement import choices_of, with_own_kernels
from runtime.host.compile.lowering import c_source, kernels_of, lowered, script_of
from runtime.host.compile.onnx_model import Value
from runtime.host.compile.placement import Placement, place
from runtime.host.compile.program import Program, Tensor
from runtime.host.compile.relax_program import read_program
from runtime.host.compile.schedules import DEFAULT_KNOBS, Knobs, scheduled
from runtime.host.compile.write_archive import archive_bytes


class Compiled(NamedTuple):
    """A compiled model.

    Attributes:
        module: Name of the module in C.
        inputs: Inputs in order.
        outputs: Outputs in order.
        program: Kernel calls.
        kernels: Name in the program -> kernel.
        placement: Places of the tensors.
    """

    module: str
    inputs: Sequence[Value]
    outputs: Sequence[Value]
    program: Program
    kernels: Mapping[str, CKernel]
    placement: Placement

    def archive(self, about: Mapping[str, Any]) -> bytes:
        """Return the model archive.

        Args:
            about: Facts of report.py.
        """
        folder = f"codegen/host/src/{self.module}"
        return archive_bytes(
            self.module,
            {
                f"codegen/host/include/{self.module}_infer.h": infer_h(
                    self.module, self.inputs, self.outputs, self.program
                ),
                f"{folder}_lib0.c": library_c(self.module, self.program),
                f"{folder}_lib1.c": model_c(self.module, self.program, self.kernels, self.placement),
            },
            [value.name for value in self.inputs],
            [value.name for value in self.outputs],
            self.program,
            self.placement.arena_bytes,
            sum(tensor.size_bytes for tensor in self.program.constants),
            about,
        )


def compile_relax(
    module: Any, inputs: Sequence[Value], outputs: Sequence[Value], name: str, knobs: Knobs = DEFAULT_KNOBS
) -> Compiled:
    """Compile a Relax module.

    Args:
        module: tvm.IRModule with a main function.
        inputs: Inputs in the order of the main function.
        outputs: Outputs in order.
        name: Name of the module in C.
        knobs: Choices of the schedules.

    Raises:
        ModelError: The model has a part that cannot be compiled, or TVM changed its inputs or outputs.
    """
    low = lowered(module)
    program = read_program(low)
    program.outputs = [
        _with_extents_of_one(tensor, value) for tensor, value in zip(program.outputs, outputs)
    ] + program.outputs[len(outputs) :]
    _check_signature("input", inputs, program.inputs)
    _check_signature("output", outputs, program.outputs)
    found = kernels_of(low)
    choices = choices_of(found)
    own = with_own_kernels(program, choices)
    functions = {
        kernel: scheduled(function, knobs) for kernel, function in found.items() if kernel not in choices
    }
    scripts = {kernel: script_of(function) for kernel, function in functions.items()}
    texts = read_kernels(c_source(functions), scripts) if functions else {}
    kernels: Dict[str, CKernel] = {}
    for index, (kernel, tensors) in enumerate(program.signatures.items()):
        if kernel in own:
            kernels[kernel] = own[kernel]
            continue
        if kernel not in texts:
            raise ModelError(f"TVM generated no C for kernel {kernel}.", NEXT)
        call = next(call for call in program.calls if call.kernel == kernel)
        kernels[kernel] = c_kernel(index, texts[kernel], tensors, len(call.outputs))
    return Compiled(name, inputs, outputs, program, kernels, place(program, kernels))


def _with_extents_of_one(tensor: Tensor, declared: Value) -> Tensor:
    """Return an output in its declared shape, if the shapes differ in extents of one only.

    TVM's importer gives a result without dimensions the shape [1].
    """
    wanted = [extent for extent in declared.shape if extent != 1]
    if tensor.shape == declared.shape or wanted != [extent for extent in tensor.shape if extent != 1]:
        return tensor
    return Tensor(f"{tensor.name}_output", declared.shape, tensor.dtype, view_of=tensor)


def _check_signature(kind: str, declared: Sequence[Value], tensors: Sequence[Tensor]) -> None:
    """Raise ModelError when the lowered model has other inputs or outputs than the model itself."""
    expected = [(value.dtype, value.shape) for value in declared]
    found = [(tensor.dtype, tensor.shape) for tensor in tensors]
    if expected != found:
        raise ModelError(
            f"TVM imports the {kind}s of the model as {found}, expected {expected}.",
            "Simplify the operators at the inputs and outputs of the model.",
        )
