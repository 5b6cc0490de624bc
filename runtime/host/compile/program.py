# SPDX-License-Identifier: Apache-2.0
"""Program of a model: kernel calls in order, on tensors with static shapes.

It is independent of TVM: relax_program.py reads it from a lowered module, and the memory plan and the C code
are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from runtime.host.dtype import DType

if TYPE_CHECKING:
    import numpy as np

Shape = Tuple[int, ...]


@dataclass(eq=False)
class Tensor:
    """One tensor of a program.

    Attributes:
        name: Name inside the program, a C identifier.
        shape: Extents.
        dtype: Data type in NumPy's spelling.
        data: Value of a constant; None for other tensors.
        view_of: Tensor whose memory this one shows under another shape; None for a tensor of its own.
    """

    name: str
    shape: Shape
    dtype: str
    data: Optional[np.ndarray] = None
    view_of: Optional[Tensor] = None

    @property
    def root(self) -> Tensor:
        """Tensor that has the memory."""
        return self if self.view_of is None else self.view_of.root

    @property
    def size_bytes(self) -> int:
        """Bytes of the compact tensor."""
        return DType.parse(self.dtype).nbytes(self.shape)


@dataclass(eq=False)
class Call:
    """Call of one kernel.

    Attributes:
        kernel: Name of the kernel in the module of TVM.
        inputs: Tensors that the kernel reads.
        outputs: Tensors that the kernel writes.
    """

    kernel: str
    inputs: List[Tensor]
    outputs: List[Tensor]

    @property
    def tensors(self) -> List[Tensor]:
        """Arguments of the kernel in order."""
        return [*self.inputs, *self.outputs]


@dataclass(eq=False)
class Program:
    """Kernel calls of a model.

    Attributes:
        inputs: Inputs of the model in order.
        outputs: Outputs of the model in order; a tensor may occur twice, and may be an input or a constant.
        calls: Calls in order.
        constants: Constants, each once.
    """

    inputs: List[Tensor]
    outputs: List[Tensor]
    calls: List[Call]
    constants: List[Tensor] = field(default_factory=list)

    @property
    def signatures(self) -> Dict[str, List[Tensor]]:
        """Kernel -> tensors of its first call."""
        found: Dict[str, List[Tensor]] = {}
        for call in self.calls:
            found.setdefault(call.kernel, call.tensors)
        return found
