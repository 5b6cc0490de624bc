# SPDX-License-Identifier: Apache-2.0
"""C functions of kernels: static, without a runtime, with scratch memory from the arena.

static void k3_conv2d_add_relu(const float *restrict lv4, ..., float *restrict out, uint8_t *restrict scratch)
"""

from __future__ import annotations

import re
from math import prod
from typing import Dict, Final, List, NamedTuple, Optional, Sequence, Set, Tuple

from runtime.host.compile.errors import ModelError
from runtime.host.compile.in_place import may_share
from runtime.host.compile.kernel_text import MATH, NEXT, WIDTHS, Kernel, Line
from runtime.host.compile.program import Tensor

ALIGNMENT: Final = 8  # bytes, of each block in the arena
ON_STACK_BYTES: Final = (
    64  # a larger array moves into the arena; the compiler keeps smaller ones in registers
)
LONGEST_NAME: Final = 40  # characters of TVM's name in ours; fused groups reach 200

C_TYPES: Final = {"float32": "float", "bool": "bool"}

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_LOWEST: Final = re.compile(r"(\w+(?:\[[^=]*\])?) = -FLT_MAX;")
_HIGHEST: Final = re.compile(r"(\w+(?:\[[^=]*\])?) = FLT_MAX;")


class CKernel(NamedTuple):
    """A kernel in C.

    Attributes:
        name: Name of the C function.
        code: The function.
        scratch_bytes: Size of its last argument; 0 for a kernel without it.
        in_place: Positions of inputs whose memory the only output may share.
        source: File of runtime/kernels that it calls; None for a kernel of TVM.
    """

    name: str
    code: str
    scratch_bytes: int
    in_place: Tuple[int, ...]
    source: Optional[str] = None


def c_type(dtype: str) -> str:
    """Return the C type of a data type."""
    return C_TYPES.get(dtype) or f"{dtype}_t"


def c_kernel(index: int, kernel: Kernel, tensors: Sequence[Tensor], outputs: int) -> CKernel:
    """Return a kernel as a C function.

    Args:
        index: Number of the kernel in the program.
        kernel: Kernel as TVM wrote it.
        tensors: Arguments of a call of it.
        outputs: Number of arguments at the end that it writes.

    Raises:
        ModelError: The kernel has another number of arguments, or writes an input.
    """
    if len(kernel.arguments) != len(tensors):
        raise ModelError(
            f"TVM's kernel {kernel.name} has {len(kernel.arguments)} arguments, expected {len(tensors)}.",
            NEXT,
        )
    first_output = len(tensors) - outputs
    names = [name or f"unused{at}" for at, name in enumerate(kernel.arguments)]
    lines, scratch_bytes = _with_scratch(kernel.lines)
    stored = {line.match["stored"] for line in lines}
    if stored & set(names[:first_output]):
        raise ModelError(f"TVM's kernel {kernel.name} writes one of its inputs.", NEXT)
    in_place = tuple(
        at
        for at in range(first_output)
        if outputs == 1
        and _alike(tensors[at], tensors[-1])
        and may_share(lines, names[at], names[-1], prod(tensors[-1].shape))
    )
    name = f"k{index}_{re.sub('[^A-Za-z0-9]+', '_', kernel.name)[:LONGEST_NAME].strip('_')}"
    parameters = [
        f"{'const ' if at < first_output else ''}{c_type(tensor.dtype)} *"
        f"{'' if at in in_place or (in_place and at >= first_output) else 'restrict '}{argument}"
        for at, (argument, tensor) in enumerate(zip(names, tensors))
    ]
    if scratch_bytes:
        parameters.append("uint8_t *restrict scratch")
    body = _indented(_reloaded(lines))
    unused = "".join(f"  (void){name};\n" for name in names if not re.search(rf"\b{name}\b", body))
    # GCC 12 has fewer registers for an inlined kernel: int8 nets would take up to 60 % more instructions.
    code = f"static __attribute__((noinline)) void {name}({', '.join(parameters)}) {{\n{unused}{body}}}\n"
    return CKernel(name, _renamed(code, kernel, names), scratch_bytes, in_place)


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.size_bytes == other.size_bytes


def _with_scratch(lines: Sequence[Line]) -> Tuple[List[Line], int]:
    """Return the lines with large arrays and allocations in the scratch memory, and its size in bytes."""
    result: List[Line] = []
    size = 0
    skipped = 0  # open blocks of a check of an allocation
    for line in lines:
        match = line.match
        if skipped:
            skipped -= match["end"] is not None
            continue
        pointer, kind, taken = match["pointer"], match["pointer_type"], int(match["bytes"] or 0)
        if match["array"]:
            pointer, kind = match["array"], match["array_type"]
            taken = int(match["extent"] or 0) * WIDTHS[str(kind)]
            if taken <= ON_STACK_BYTES:
                pointer = None
        if match["failed"] or match["release"]:
            skipped = 1
        elif pointer:
            text = f"{kind} *{pointer} = ({kind} *)(void *)(scratch + {size});"
            result.append(Line(text, {**match, "array": None}))
            size += -(-taken // ALIGNMENT) * ALIGNMENT
        else:
            result.append(line)
    return result, size


def _reloaded(lines: Sequence[Line]) -> List[str]:
    """Return the statements, with temporary values loaded again where memory may have changed.

    TVM's code generator names a loaded operand of a minimum or maximum once, and uses the name for the same
    expression later, also after a store to the memory (seen in 0.25 to 0.27: an unrolled maximum keeps only
    its last operand). The expression itself is right at each place.
    """
    values: Dict[str, str] = {}  # temporary value that is loaded from memory -> its expression
    stale: Set[str] = set()
    result: List[str] = []
    for line in lines:
        match = line.match
        used = [word for word in _WORD.findall(line.text) if word in stale]
        for name in _in_order(used, values, stale):
            result.append(f"{name} = {values[name]};")
            stale.discard(name)
        result.append(line.text)
        variable, value = match["variable"], match["value"]
        if variable and value:
            loads = "[" in value or any(word in values for word in _WORD.findall(value))
            values.pop(variable, None)
            stale.discard(variable)
            if loads:
                values[variable] = value
        changes = match["stored"] or match["for"] or match["if"] or match["else"] or match["end"]
        if changes and match["stored"] not in values:
            stale = set(values)
    return result


def _in_order(used: Sequence[str], values: Dict[str, str], stale: Set[str]) -> List[str]:
    """Return stale names that the used ones need, each after those in its expression."""
    order: List[str] = []

    def add(name: str) -> None:
        for word in _WORD.findall(values[name]):
            if word in stale and word != name and word not in order:
                add(word)
        if name not in order:
            order.append(name)

    for name in used:
        add(name)
    return order


def _renamed(code: str, kernel: Kernel, arguments: Sequence[str]) -> str:
    """Return a function in which no local name is that of a function of the C library."""
    local = set(arguments)
    for line in kernel.lines:
        local.update(
            str(line.match[key]) for key in ("counter", "array", "variable", "pointer") if line.match[key]
        )
    taken = (local & (MATH | {"scratch"})) | {name for name in local if name in _RESERVED}
    return (
        _WORD.sub(lambda word: f"{word[0]}_local" if word[0] in taken else word[0], code) if taken else code
    )


_RESERVED: Final = frozenset(
    [
        "erf",
        "exp",
        "log",
        "sin",
        "cos",
        "tan",
        "pow",
        "sqrt",
        "floor",
        "ceil",
        "round",
        "trunc",
        "abs",
        "min",
        "max",
        "y0",
        "y1",
        "j0",
        "j1",
        "yn",
        "jn",
    ]
)


def _indented(lines: Sequence[str]) -> str:
    depth = 1
    result = []
    for line in lines:
        text = _LOWEST.sub(r"\1 = -INFINITY;", line)
        text = _HIGHEST.sub(r"\1 = INFINITY;", text)
        depth -= text.startswith("}")
        result.append(f"{'  ' * depth}{text}\n")
        depth += text.endswith("{")
    return "".join(result)
