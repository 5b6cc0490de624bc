# SPDX-License-Identifier: Apache-2.0
"""Kernels of ours in a program, in place of those of TVM."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Final, List, Mapping, Sequence, Tuple

import numpy as np

from runtime.host.compile.kernel_c import CKernel, c_type
from runtime.host.compile.library.choice import ATTRIBUTE, Choice, Operand, Prepared
from runtime.host.compile.library.rules import prepare
from runtime.host.compile.program import Call, Program, Tensor

FOLDER: Final = Path(__file__).resolve().parents[3] / "kernels"
COMMON: Final = "integers.h"


def with_own_kernels(program: Program, choices: Mapping[str, Choice]) -> Dict[str, CKernel]:
    """Let the calls of a program use kernels of ours, and return these.

    Args:
        program: Program; constants of its calls are replaced by packed ones.
        choices: Kernel in the program -> kernel of ours.
    """
    kernels: Dict[str, CKernel] = {}
    constants = _Constants(program)
    names: Dict[Tuple[str, ...], str] = {}
    for call in program.calls:
        choice = choices.get(call.kernel)
        if choice is None:
            continue
        operands = [Operand(each.shape, each.dtype, each.data) for each in call.tensors]
        made = prepare(choice, operands[: len(call.inputs)], operands[-1])
        call.inputs = [call.inputs[0], *map(constants.tensor, made.constants)]
        # Calls of one kernel of TVM may have constants that need other shifts.
        variant = (call.kernel, made.function, repr(made.parameters))
        call.kernel = names.setdefault(variant, f"{call.kernel}_{len(names)}")
        if call.kernel not in kernels:
            kernels[call.kernel] = _c_kernel(f"own{len(kernels)}_{choice.kernel}", made, call)
    used = {tensor.root for call in program.calls for tensor in call.tensors}
    used |= {tensor.root for tensor in program.outputs}
    program.constants = [tensor for tensor in program.constants if tensor in used]
    return kernels


def choices_of(kernels: Mapping[str, Any]) -> Dict[str, Choice]:
    """Return name -> kernel of ours, for the kernels that are replaced by one."""
    return {
        name: Choice.read(str(function.attrs[ATTRIBUTE]))
        for name, function in kernels.items()
        if function.attrs is not None and ATTRIBUTE in function.attrs
    }


def sources(kernels: Sequence[CKernel]) -> List[str]:
    """Return the C of the library that kernels need, each file once."""
    files = sorted({kernel.source for kernel in kernels if kernel.source})
    return [(FOLDER / name).read_text(encoding="utf-8") for name in ([COMMON, *files] if files else [])]


class _Constants:
    """Constants of a program, to which packed ones are added, each once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: Dict[Tuple[bytes, str], Tensor] = {}

    def tensor(self, array: Any) -> Tensor:
        packed = np.ascontiguousarray(array)
        key = (packed.tobytes(), str(packed.dtype))
        if key not in self._known:
            name = f"packed{len(self._known)}"
            self._known[key] = Tensor(name, packed.shape, str(packed.dtype), packed)
            self._program.constants.append(self._known[key])
        return self._known[key]


def _c_kernel(name: str, made: Prepared, call: Call) -> CKernel:
    kind, values = made.parameters
    x, *constants = call.inputs
    y = call.outputs[0]
    names = [f"constant{at}" for at in range(len(constants))]
    parameters = [
        f"const {c_type(x.dtype)} *x",
        *(f"const {c_type(each.dtype)} *{constant}" for each, constant in zip(constants, names)),
        f"{c_type(y.dtype)} *y",
    ]
    scratch = "scratch" if made.scratch_bytes else "0"
    if made.scratch_bytes:
        parameters.append("uint8_t *scratch")
    weights, channels = names
    befores = values["rescale"]["befores"]
    lines = [
        f"static void {name}({', '.join(parameters)}) {{",
        *([f"  static const uint8_t befores[] = {{{', '.join(map(str, befores))}}};"] if befores else []),
        f"  static const {kind} parameters = {_initializer(values)};",
        f"  {made.function}(&parameters, (const uint8_t *)x, {weights}, "
        f"(const mtvm_channel_t *)(const void *){channels}, (uint8_t *)y, (void *){scratch});",
        "}",
        "",
    ]
    return CKernel(name, "\n".join(lines), made.scratch_bytes, (0,) if made.is_in_place else (), made.source)


def _initializer(values: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'.{name} = {_field(value)}' for name, value in values.items())}}}"


def _field(value: Any) -> str:
    if isinstance(value, Mapping):
        return _initializer(value)
    if isinstance(value, list):
        return "befores" if value else "0"
    return str(value)
