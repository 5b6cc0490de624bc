# SPDX-License-Identifier: Apache-2.0
"""Kernels of a model archive in the order of an inference."""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from runtime.host.archive.about import ModelFacts, TensorFact
from runtime.host.archive.generated_c import calls_of
from runtime.host.archive.model_archive import ModelArchive, entry_name


class KernelRow(NamedTuple):
    """One call of a kernel. A value is None if the archive does not have it.

    Attributes:
        name: Name of the C function.
        outputs: Tensors that the kernel writes.
        arena_bytes: Bytes of the arena that are in use during the call, scratch included.
        scratch_bytes: Bytes for the intermediate values of the kernel.
    """

    name: str
    outputs: Optional[List[TensorFact]]
    arena_bytes: Optional[int]
    scratch_bytes: Optional[int]


def kernel_rows(archive: ModelArchive, facts: Optional[ModelFacts]) -> List[KernelRow]:
    """Return the calls of kernels in order.

    An archive of single operators has them in no order. AOT code of LLVM has none, because object files do
    not show the order.

    Args:
        archive: Model archive.
        facts: Facts about the model, if `compile` wrote the archive.
    """
    if facts is not None:
        return [
            KernelRow(kernel.name, kernel.outputs, kernel.arena_bytes, kernel.scratch_bytes)
            for kernel in facts.kernels
        ]
    if archive.style == "operator":
        return [KernelRow(name, None, None, None) for name in archive.operators]
    workspaces = archive.metadata.operator_workspaces
    if archive.graph is not None:
        entries = archive.graph.entries
        return [
            KernelRow(
                call.function,
                [
                    TensorFact(str(entry.dtype), entry.shape, entry.nbytes)
                    for entry in (entries[index] for index in call.outputs)
                ],
                None,
                workspaces.get(call.function),
            )
            for call in archive.graph.calls
        ]
    names = calls_of(archive.functions, entry_name(archive.module))
    return [KernelRow(name, None, None, workspaces.get(name)) for name in names]
