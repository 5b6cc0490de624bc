# SPDX-License-Identifier: Apache-2.0
"""Decompositions of operators with indices.

TVM's kernels take a negative index for an address before the tensor. Here it counts from the end, and an
index outside of the tensor counts as the nearest. PyTorch raises an exception for one, and a device must not
read or write other memory. Operators on constant indices are folded.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, Optional, Sequence

import torch

from runtime.host.compile.torch_import.rules_arithmetic import Rule, cast

aten = torch.ops.aten
Indices = Sequence[Optional[torch.Tensor]]


def inside(indices: torch.Tensor, extent: int) -> torch.Tensor:
    """Return indices that count from the start and are inside of an extent."""
    wrapped = aten.where.self(indices < 0, indices + extent, indices)
    limited: torch.Tensor = aten.clamp.default(wrapped, 0, extent - 1)
    return limited


def rows(x: torch.Tensor, dim: int, indices: torch.Tensor) -> torch.Tensor:
    """Return the parts of a dimension at indices of one dimension that are inside."""
    taken: torch.Tensor = aten.index_select.default(x, dim, indices)
    return taken


def _select(x: torch.Tensor, dim: int, index: int) -> Any:
    axis = dim % x.dim()
    if axis == dim and index >= 0:
        return NotImplemented
    return aten.select.int(x, axis, index % x.shape[axis])


def _checked(indices: torch.Tensor) -> bool:
    """Return whether `inside` made these indices."""
    return bool(getattr(indices, "_is_inside", False))


def _mark(indices: torch.Tensor) -> torch.Tensor:
    indices._is_inside = True
    return indices


def _index_select(x: torch.Tensor, dim: int, indices: torch.Tensor) -> Any:
    axis = dim % max(1, x.dim())
    if x.dim() == 0:
        return x.clone()
    if _checked(indices):
        return NotImplemented
    flat = indices.reshape(-1)
    return rows(x, axis, _mark(inside(flat, x.shape[axis])))


def _embedding(weight: torch.Tensor, indices: torch.Tensor, *_options: Any) -> Any:
    taken = aten.index_select.default(weight, 0, indices.reshape(-1))
    return taken.reshape([*indices.shape, *weight.shape[1:]])


def _gather(x: torch.Tensor, dim: int, indices: torch.Tensor, *, sparse_grad: bool = False) -> Any:
    if _checked(indices):
        return NotImplemented
    if x.dim() == 0:
        return x.expand(indices.shape).clone()
    axis = dim % x.dim()
    for other in range(x.dim()):  # TVM needs equal extents in the other dimensions
        if other != axis and x.shape[other] != indices.shape[other]:
            x = aten.slice.Tensor(x, other, 0, indices.shape[other])
    return aten.gather.default(x, axis, _mark(inside(indices, x.shape[axis])))


def _index(x: torch.Tensor, indices: Indices) -> Any:
    """Return x[indices]: a chain of index_select, or one on the flattened dimensions."""
    given = [(dim, tensor) for dim, tensor in enumerate(indices) if tensor is not None]
    if any(tensor.dtype in (torch.bool, torch.uint8) for _, tensor in given):
        return NotImplemented  # the shape of the result depends on the values
    dims = [dim for dim, _ in given]
    tensors = [inside(tensor, x.shape[dim]) for dim, tensor in given]
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    adjacent = dims == list(range(dims[0], dims[0] + len(dims)))
    if adjacent and _is_grid(tensors, shape):
        for dim, tensor in zip(dims, tensors):
            x = rows(x, dim, _mark(tensor.reshape(-1)))
        return x.reshape([*x.shape[: dims[0]], *shape, *x.shape[dims[0] + len(dims) :]])
    if not adjacent:  # PyTorch then puts the indexed dimensions first
        x = x.permute(dims + [dim for dim in range(x.dim()) if dim not in dims])
        dims = list(range(len(dims)))
    first, count = dims[0], len(dims)
    flat = tensors[0]
    for number in range(1, count):
        flat = flat * x.shape[first + number] + tensors[number]
    flat = flat.expand(shape).reshape(-1)
    merged = x.reshape([*x.shape[:first], -1, *x.shape[first + count :]])
    taken = rows(merged, first, _mark(flat))
    return taken.reshape([*x.shape[:first], *shape, *x.shape[first + count :]])


def _is_grid(tensors: Sequence[torch.Tensor], shape: Sequence[int]) -> bool:
    """Return whether index n varies along dimension n of the result only."""
    if len(tensors) == 1:
        return True
    if len(shape) != len(tensors):
        return False
    for number, tensor in enumerate(tensors):
        extents = [1] * (len(shape) - tensor.dim()) + list(tensor.shape)
        if any(extent != (shape[place] if place == number else 1) for place, extent in enumerate(extents)):
            return False
    return True


def _take(x: torch.Tensor, indices: torch.Tensor) -> Any:
    return aten.index_select.default(x.reshape(-1), 0, indices.reshape(-1)).reshape(indices.shape)


def _index_put(x: torch.Tensor, indices: Indices, values: torch.Tensor, accumulate: bool = False) -> Any:
    given = [(dim, tensor) for dim, tensor in enumerate(indices) if tensor is not None]
    if len(given) != 1 or given[0][1].dim() != 1 or given[0][1].dtype in (torch.bool, torch.uint8):
        return NotImplemented
    ((dim, places),) = given
    shape = [*x.shape[:dim], places.shape[0], *x.shape[dim + 1 :]]
    column = places.reshape([-1] + [1] * (x.dim() - 1 - dim)).expand(shape)
    scatter = aten.scatter_add.default if accumulate else aten.scatter.src
    return scatter(x, dim, column, cast(values, x.dtype).expand(shape))


def _scatter(op: Any) -> Rule:
    def rule(x: torch.Tensor, dim: int, indices: torch.Tensor, source: Any) -> Any:
        if _checked(indices) or x.dim() == 0:
            return NotImplemented
        if isinstance(source, torch.Tensor):
            for axis, extent in enumerate(indices.shape):
                source = aten.slice.Tensor(source, axis, 0, extent)
        axis = dim % x.dim()
        return op(x, axis, _mark(inside(indices, x.shape[axis])), source)

    return rule


def _unfold(x: torch.Tensor, dim: int, size: int, step: int) -> Any:
    axis = dim % x.dim()
    count = (x.shape[axis] - size) // step + 1
    windows: List[torch.Tensor] = [
        aten.slice.Tensor(x, axis, place, place + step * (count - 1) + 1, step) for place in range(size)
    ]
    return aten.stack.default(windows, -1)


def _slice_scatter(
    x: torch.Tensor,
    source: torch.Tensor,
    dim: int = 0,
    start: Optional[int] = None,
    end: Optional[int] = None,
    step: int = 1,
) -> Any:
    axis, extent = dim % x.dim(), x.shape[dim]
    first, last, _ = slice(start, end, step).indices(extent)
    if step == 1:
        parts = [
            aten.slice.Tensor(x, axis, 0, first),
            cast(source, x.dtype),
            aten.slice.Tensor(x, axis, max(first, last), extent),
        ]
        return aten.cat.default([part for part in parts if part.shape[axis]], axis)
    shape = [-1 if place == axis else 1 for place in range(x.dim())]
    places = aten.arange.start_step(first, max(first, last), step)
    return aten.scatter.src(x, axis, places.reshape(shape).expand(source.shape), cast(source, x.dtype))


def _select_scatter(x: torch.Tensor, source: torch.Tensor, dim: int, index: int) -> Any:
    axis = dim % x.dim()
    place = index % x.shape[axis]
    return aten.slice_scatter.default(x, source.unsqueeze(axis), axis, place, place + 1)


RULES: Final[Dict[Any, Rule]] = {
    aten.select.int: _select,
    aten.index_select.default: _index_select,
    aten.embedding.default: _embedding,
    aten.gather.default: _gather,
    aten.index.Tensor: _index,
    aten.take.default: _take,
    aten.index_put.default: _index_put,
    aten.scatter.src: _scatter(aten.scatter.src),
    aten.scatter.value: _scatter(aten.scatter.value),
    aten.scatter_add.default: _scatter(aten.scatter_add.default),
    aten.unfold.default: _unfold,
    aten.slice_scatter.default: _slice_scatter,
    aten.select_scatter.default: _select_scatter,
}
"""Operator -> decomposition."""
