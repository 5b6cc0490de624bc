# SPDX-License-Identifier: Apache-2.0
"""Decompositions of reductions and of scans along a dimension."""

from __future__ import annotations

import math
from typing import Any, Dict, Final, List, Optional, Sequence, Union

import torch

from runtime.host.compile.torch_import.rules_arithmetic import Rule, cast

aten = torch.ops.aten
Dims = Union[None, int, Sequence[int]]


def dims_of(x: torch.Tensor, dims: Dims) -> List[int]:
    """Return dimensions as numbers of at least 0; none given means all."""
    given = [dims] if isinstance(dims, int) else list(dims or ())
    return [dim % max(1, x.dim()) for dim in given] or list(range(x.dim()))


def _extreme(reduce: Any, place: Any) -> Rule:
    """Return the rule of max.dim or min.dim."""

    def rule(x: torch.Tensor, dim: int, keepdim: bool = False) -> Any:
        if x.dim() == 0:
            return x.clone(), aten.full.default([], 0, dtype=torch.int64)
        return reduce(x, [dim], keepdim), place(x, dim, keepdim)

    return rule


def _any(x: torch.Tensor, dim: Dims = None, keepdim: bool = False) -> Any:
    if x.dim() == 0:
        return x != 0
    return aten.amax.default(cast(x != 0, torch.int32), dims_of(x, dim), keepdim) != 0


def _norm(
    x: torch.Tensor,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Optional[torch.dtype] = None,
) -> Any:
    size = aten.abs(cast(x, dtype or x.dtype))
    dims = dims_of(x, dim)
    if ord == math.inf:
        return aten.amax.default(size, dims, keepdim)
    if ord == -math.inf:
        return aten.amin.default(size, dims, keepdim)
    if ord == 0:
        return aten.sum.dim_IntList(cast(size != 0, size.dtype), dims, keepdim)
    if ord == 1:
        return aten.sum.dim_IntList(size, dims, keepdim)
    if ord == 2:
        return aten.sqrt(aten.sum.dim_IntList(size * size, dims, keepdim))
    powers = aten.sum.dim_IntList(aten.pow.Tensor_Scalar(size, ord), dims, keepdim)
    return aten.pow.Tensor_Scalar(powers, 1.0 / ord)


def _scan(combine: Any, start: float) -> Rule:
    """Return the rule of a scan: after n steps each element covers 2**n elements.

    TVM leaves a scan to its runtime.
    """

    def rule(x: torch.Tensor, dim: int, *, dtype: Optional[torch.dtype] = None) -> Any:
        kind = dtype or (x.dtype if x.dtype.is_floating_point else torch.int64)
        made = cast(x, kind)
        if x.dim() == 0:
            return made.clone()
        axis, step = dim % x.dim(), 1
        while step < x.shape[axis]:
            earlier = aten.slice.Tensor(made, axis, 0, x.shape[axis] - step)
            padding = [0, 0] * (x.dim() - 1 - axis) + [step, 0]
            made = combine(made, aten.constant_pad_nd.default(earlier, padding, start))
            step *= 2
        return made

    return rule


def _var_mean(x: torch.Tensor, dim: Dims = None, *, correction: Any = None, keepdim: bool = False) -> Any:
    dims = dims_of(x, dim)
    variance = aten.var.correction(x, dims, correction=correction, keepdim=keepdim)
    return variance, aten.mean.dim(x, dims, keepdim)


def _bucketize(
    x: torch.Tensor, boundaries: torch.Tensor, *, out_int32: bool = False, right: bool = False
) -> Any:
    column = x.unsqueeze(-1)
    below = boundaries <= column if right else boundaries < column
    return aten.sum.dim_IntList(below, [-1], dtype=torch.int32 if out_int32 else torch.int64)


def _sum(x: torch.Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    kind = dtype or (x.dtype if x.dtype.is_floating_point else torch.int64)
    if x.dim() == 0:
        return cast(x, kind).clone()
    if x.dtype == kind and dim and dtype is None:
        return NotImplemented
    return aten.sum.dim_IntList(cast(x, kind), dims_of(x, dim), keepdim)


def _prod(x: torch.Tensor, dim: int, keepdim: bool = False, *, dtype: Any = None) -> Any:
    kind = dtype or (x.dtype if x.dtype.is_floating_point else torch.int64)
    return NotImplemented if x.dtype == kind else aten.prod.dim_int(cast(x, kind), dim, keepdim)


def _mean(x: torch.Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    if x.dim() == 0:
        return cast(x, dtype or x.dtype).clone()
    if dim and dtype is None:
        return NotImplemented
    return aten.mean.dim(cast(x, dtype or x.dtype), dims_of(x, dim), keepdim)


def _prod_of_all(x: torch.Tensor, *, dtype: Any = None) -> Any:
    return aten.prod.dim_int(x.reshape(-1), 0, dtype=dtype)


RULES: Final[Dict[Any, Rule]] = {
    aten.max.dim: _extreme(aten.amax.default, aten.argmax.default),
    aten.min.dim: _extreme(aten.amin.default, aten.argmin.default),
    aten.max.default: lambda x: aten.amax.default(x, dims_of(x, None)),
    aten.min.default: lambda x: aten.amin.default(x, dims_of(x, None)),
    aten.any.default: _any,
    aten.any.dim: _any,
    aten.any.dims: _any,
    aten.linalg_vector_norm.default: _norm,
    aten.cumsum.default: _scan(aten.add.Tensor, 0),
    aten.cumprod.default: _scan(aten.mul.Tensor, 1),
    aten.var_mean.correction: _var_mean,
    aten.bucketize.Tensor: _bucketize,
    aten.sum.dim_IntList: _sum,
    aten.sum.default: lambda x, *, dtype=None: aten.sum.dim_IntList(x, dims_of(x, None), dtype=dtype),
    aten.prod.default: _prod_of_all,
    aten.prod.dim_int: _prod,
    aten.mean.default: lambda x, *, dtype=None: aten.mean.dim(x, dims_of(x, None), dtype=dtype),
    aten.mean.dim: _mean,
}
"""Operator -> decomposition."""
