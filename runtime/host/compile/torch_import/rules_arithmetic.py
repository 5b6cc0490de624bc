# SPDX-License-Identifier: Apache-2.0
"""Decompositions of elementwise operators and products.

TVM's importer ignores `alpha`, `scale` and the promotion of types: it raises, or the answers are wrong. Each
rule returns NotImplemented for a call that is imported correctly as it is.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Final, Optional, Sequence

import torch

aten = torch.ops.aten
Rule = Callable[..., Any]
COPY: Final = aten._to_copy.default

SAME_TYPE: Final = (
    *(aten.mul.Tensor, aten.maximum.default, aten.minimum.default, aten.fmod.Tensor, aten.fmod.Scalar),
    *(aten.remainder.Tensor, aten.remainder.Scalar, aten.atan2.default),
    *(aten.bitwise_and.Tensor, aten.bitwise_or.Tensor, aten.bitwise_xor.Tensor),
    *(aten.eq.Tensor, aten.ne.Tensor, aten.lt.Tensor, aten.le.Tensor, aten.gt.Tensor, aten.ge.Tensor),
    *(aten.eq.Scalar, aten.ne.Scalar, aten.lt.Scalar, aten.le.Scalar, aten.gt.Scalar, aten.ge.Scalar),
    *(aten.pow.Tensor_Tensor, aten.pow.Tensor_Scalar),
)
"""Binary operators whose operands must have one type in TVM."""


def cast(value: Any, kind: torch.dtype) -> Any:
    """Return a tensor or number in a type."""
    if isinstance(value, torch.Tensor):
        return value if value.dtype == kind else COPY(value, dtype=kind)
    return float(value) if kind.is_floating_point else value


def _typed(op: Any) -> Rule:
    def rule(one: Any, other: Any) -> Any:
        kind = torch.result_type(one, other)
        pair = cast(one, kind), cast(other, kind)
        if pair[0] is one and (
            pair[1] is other or (not isinstance(other, torch.Tensor) and pair[1] == other)
        ):
            return NotImplemented
        return op(*pair)

    return rule


def _sum(op: Any, sign: int) -> Rule:
    """Return the rule of one + sign * alpha * other."""

    def rule(one: Any, other: Any, *, alpha: Any = 1) -> Any:
        kind = torch.result_type(one, other)
        first, second = cast(one, kind), cast(other, kind)
        if alpha != 1:
            return aten.add.Tensor(first, second * (sign * alpha))
        if kind == torch.bool:
            return aten.logical_or.default(first, second) if sign > 0 else NotImplemented
        same = second == other if not isinstance(other, torch.Tensor) else second is other
        return NotImplemented if first is one and same else op(first, second)

    return rule


def _copy(x: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> Any:
    return cast(source, x.dtype).expand(x.shape).clone()


def _full_like(x: torch.Tensor, value: Any, *, dtype: Optional[torch.dtype] = None, **_options: Any) -> Any:
    return aten.full.default(x.shape, value, dtype=dtype or x.dtype)


def _reversed_difference(one: Any, other: Any, alpha: Any = 1) -> Any:
    kind = torch.result_type(one, other)
    return aten.add.Tensor(cast(one, kind) * (-alpha), cast(other, kind))


def _quotient(one: Any, other: Any) -> Any:
    kind = torch.result_type(one, other)
    kind = kind if kind.is_floating_point else torch.get_default_dtype()
    first, second = cast(one, kind), cast(other, kind)
    if first is one and (second is other or (not isinstance(other, torch.Tensor) and second == other)):
        return NotImplemented
    return aten.div.Tensor(first, second)


def _rounded_quotient(one: Any, other: Any, *, rounding_mode: Optional[str] = None) -> Any:
    if rounding_mode is None:
        return aten.div.Tensor(one, other)
    kind = torch.result_type(one, other)
    first, second = cast(one, kind), tensor_of(other, kind, one)
    if kind.is_floating_point:
        return (aten.floor if rounding_mode == "floor" else aten.trunc)(aten.div.Tensor(first, second))
    if rounding_mode == "floor":
        return aten.floor_divide.default(first, second)
    # Truncation differs from the floor by one where a rest is left and the signs differ.
    floor = aten.floor_divide.default(first, second)
    rest = first - floor * second
    return floor + cast((rest != 0) & ((first < 0) ^ (second < 0)), kind)


def tensor_of(value: Any, kind: torch.dtype, like: torch.Tensor) -> torch.Tensor:
    """Return a tensor or number as a tensor of a type."""
    if isinstance(value, torch.Tensor):
        return cast(value, kind)
    return aten.full.default([], value, dtype=kind, device=like.device)


def _floor_divide(one: Any, other: Any) -> Any:
    kind = torch.result_type(one, other)
    if kind.is_floating_point:
        return _rounded_quotient(one, other, rounding_mode="floor")
    first, second = cast(one, kind), tensor_of(other, kind, one)
    return NotImplemented if first is one and second is other else aten.floor_divide.default(first, second)


def _where(condition: Any, one: Any, other: Any) -> Any:
    kind = torch.result_type(one, other)
    first, second = cast(one, kind), cast(other, kind)
    if first is one and second is other:
        return NotImplemented
    return aten.where.self(condition, first, second)


def _cat(tensors: Sequence[torch.Tensor], dim: int = 0) -> Any:
    kept = [tensor for tensor in tensors if tensor.numel() or tensor.dim() > 1]
    kind = kept[0].dtype
    for tensor in kept:
        kind = torch.promote_types(kind, tensor.dtype)
    cast_ones = [cast(tensor, kind) for tensor in kept]
    if len(kept) == len(tensors) and all(old is new for old, new in zip(tensors, cast_ones)):
        return NotImplemented
    return aten.cat.default(cast_ones, dim)


def _elu(x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    negative = (aten.exp(x * input_scale if input_scale != 1 else x) - 1) * (alpha * scale)
    return aten.where.self(x > 0, x * scale if scale != 1 else x, negative)


def _heaviside(x: Any, values: Any) -> Any:
    return aten.where.self(x == 0, values, cast(x > 0, x.dtype))


def _fmax(pick: Any) -> Rule:
    def rule(one: Any, other: Any) -> Any:
        kept = aten.where.self(aten.isnan(other), one, pick(one, other))
        return aten.where.self(aten.isnan(one), other, kept)

    return rule


def _logaddexp(one: Any, other: Any) -> Any:
    """Return log(exp(one) + exp(other)) without an overflow of exp."""
    kind = torch.result_type(one, other)
    first, second = cast(one, kind), cast(other, kind)
    distance = aten.masked_fill.Scalar(aten.abs(first - second), first == second, 0.0)
    return aten.maximum.default(first, second) + aten.log1p(aten.exp(-distance))


def _product(op: Any) -> Rule:
    """Return the rule of a matrix product: TVM's importer computes one of integers in float32."""

    def rule(one: Any, other: Any) -> Any:
        if one.dtype.is_floating_point:
            return NotImplemented
        return aten.sum.dim_IntList(one.unsqueeze(-1) * other.unsqueeze(-3), [-2], dtype=one.dtype)

    return rule


def _addmm(bias: Any, one: Any, other: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    if bias.dtype.is_floating_point and beta == alpha == 1:
        return NotImplemented
    product = aten.mm.default(one, other) if one.dim() == 2 else aten.bmm.default(one, other)
    return (bias if beta == 1 else bias * beta) + (product if alpha == 1 else product * alpha)


RULES: Final[Dict[Any, Rule]] = {
    **{op: _typed(op) for op in SAME_TYPE},
    aten.add.Tensor: _sum(aten.add.Tensor, 1),
    aten.add.Scalar: lambda one, other, alpha=1: aten.add.Tensor(one, other, alpha=alpha),
    aten.sub.Tensor: _sum(aten.sub.Tensor, -1),
    aten.sub.Scalar: lambda one, other, alpha=1: aten.sub.Tensor(one, other, alpha=alpha),
    aten.mul.Scalar: aten.mul.Tensor,
    aten.rsub.Scalar: _reversed_difference,
    aten.rsub.Tensor: lambda one, other, alpha=1: aten.sub.Tensor(other, one, alpha=alpha),
    aten.div.Tensor: _quotient,
    aten.div.Scalar: _quotient,
    aten.div.Tensor_mode: _rounded_quotient,
    aten.div.Scalar_mode: _rounded_quotient,
    aten.floor_divide.default: _floor_divide,
    aten.where.self: _where,
    aten.cat.default: _cat,
    aten.full_like.default: _full_like,
    aten.copy.default: _copy,
    aten.elu.default: _elu,
    aten.heaviside.default: _heaviside,
    aten.fmax.default: _fmax(aten.maximum.default),
    aten.fmin.default: _fmax(aten.minimum.default),
    aten.logaddexp.default: _logaddexp,
    aten.hypot.default: lambda one, other: aten.sqrt(one * one + other * other),
    aten.erfc.default: lambda x: 1 - aten.erf(x),
    aten.exp2.default: lambda x: aten.exp(x * math.log(2)),
    aten.mm.default: _product(aten.mm.default),
    aten.bmm.default: _product(aten.bmm.default),
    aten.addmm.default: _addmm,
    aten.baddbmm.default: _addmm,
}
"""Operator -> decomposition."""
