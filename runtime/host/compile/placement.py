# SPDX-License-Identifier: Apache-2.0
"""Places of the tensors of a program: arguments of the entry, constants, and offsets in the arena."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Final, List, Mapping, Optional, Sequence, Tuple, Union

from runtime.host.compile.kernel_c import ALIGNMENT, CKernel
from runtime.host.compile.memory_plan import Buffer, plan
from runtime.host.compile.program import Program, Tensor

IN_ARENA: Final = "arena"


@dataclass
class Placement:
    """Places of all tensors of a program.

    Attributes:
        arena_bytes: Size of the arena.
        bound_bytes: Lower bound of it.
        places: Root tensor -> C expression of its address, without those of the arena.
        offsets: Root tensor in the arena -> its offset in bytes.
        scratch: Number of a call -> offset of its scratch memory in the arena.
        copies: (number of an output, tensor) for each output that no kernel writes itself.
    """

    arena_bytes: int = 0
    bound_bytes: int = 0
    places: Dict[Tensor, str] = field(default_factory=dict)
    offsets: Dict[Tensor, int] = field(default_factory=dict)
    scratch: Dict[int, int] = field(default_factory=dict)
    copies: List[Tuple[int, Tensor]] = field(default_factory=list)


def place(program: Program, kernels: Mapping[str, CKernel]) -> Placement:
    """Return the places of the tensors of a program.

    A kernel writes an output of the model where the caller wants it. An output that is an input, a constant,
    or another output too is copied after the last call.
    """
    result = Placement()
    for index, tensor in enumerate(program.inputs):
        result.places[tensor] = f"in{index}"
    for tensor in program.constants:
        result.places[tensor] = tensor.name
    for index, tensor in enumerate(program.outputs):
        root = tensor.root
        if root in result.places:
            result.copies.append((index, root))
        else:
            result.places[root] = f"out{index}"
    buffers, owners = _buffers(program, kernels, result)
    planned = plan(buffers, ALIGNMENT)
    result.arena_bytes, result.bound_bytes = planned.size_bytes, planned.bound_bytes
    for buffer in buffers:
        owner = owners[buffer.name]
        if isinstance(owner, int):
            result.scratch[owner] = planned.offsets[buffer.name]
        else:
            result.offsets[owner] = planned.offsets[buffer.name]
    return result


def _buffers(
    program: Program, kernels: Mapping[str, CKernel], placed: Placement
) -> Tuple[List[Buffer], Dict[str, Union[Tensor, int]]]:
    """Return the blocks of the arena, and the owner of each: a tensor, or a call by its number."""
    last: Dict[Tensor, int] = {}
    for number, call in enumerate(program.calls):
        for tensor in call.tensors:
            last[tensor.root] = number
    buffers: List[Buffer] = []
    owners: Dict[str, Union[Tensor, int]] = {}
    for number, call in enumerate(program.calls):
        kernel = kernels[call.kernel]
        for tensor in call.outputs:
            root = tensor.root
            if root in placed.places:
                continue
            reuses = _reusable(call.inputs, kernel, last, number, placed)
            buffers.append(Buffer(root.name, root.size_bytes, number, last[root], reuses))
            owners[root.name] = root
        if kernel.scratch_bytes:
            name = f"scratch{number}"
            buffers.append(Buffer(name, kernel.scratch_bytes, number, number))
            owners[name] = number
    return buffers, owners


def _reusable(
    inputs: Sequence[Tensor], kernel: CKernel, last: Mapping[Tensor, int], number: int, placed: Placement
) -> Optional[str]:
    """Return the name of the input whose memory the output of a call may take over."""
    for at in kernel.in_place:
        root = inputs[at].root
        once = sum(tensor.root is root for tensor in inputs) == 1
        if once and root not in placed.places and last[root] == number:
            return root.name
    return None
