# SPDX-License-Identifier: Apache-2.0
"""Decompositions of pools, of the batch normalization, and of resizing."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Optional, Sequence, Tuple

import torch

from runtime.host.compile.torch_import.rules_arithmetic import Rule

aten = torch.ops.aten

PADS: Final[Dict[str, Dict[int, Any]]] = {
    "reflect": {1: aten.reflection_pad1d, 2: aten.reflection_pad2d, 3: aten.reflection_pad3d},
    "replicate": {1: aten.replication_pad1d, 2: aten.replication_pad2d, 3: aten.replication_pad3d},
}
"""Mode -> number of padded dimensions -> operator."""


def _adaptive(reduce: Any, x: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return a pool with outputs of given sizes: dimension by dimension, window by window.

    The windows of an output overlap or have different sizes, unless its extent divides that of the input.
    """
    first = x.dim() - len(sizes)
    whole = [first + place for place, size in enumerate(sizes) if size == 1]
    if whole:
        x = reduce(x, whole, True)
    for place, size in enumerate(sizes):
        axis, extent = first + place, x.shape[first + place]
        if size == extent:
            continue
        if extent % size == 0:
            split = x.reshape([*x.shape[:axis], size, extent // size, *x.shape[axis + 1 :]])
            x = reduce(split, [axis + 1], False)
            continue
        windows: List[torch.Tensor] = [
            reduce(aten.slice.Tensor(x, axis, n * extent // size, -(-(n + 1) * extent // size)), [axis], True)
            for n in range(size)
        ]
        x = aten.cat.default(windows, axis)
    return x


def _adaptive_average(x: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    return _adaptive(aten.mean.dim, x, _all(x, sizes))


def _adaptive_maximum(x: torch.Tensor, sizes: Sequence[int]) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the pool, and an undefined tensor for the indices: supported.py refuses its use."""
    made = _adaptive(aten.amax.default, x, _all(x, sizes))
    return made, aten.empty.memory_format(made.shape, dtype=torch.int64, device=x.device)


def _all(_x: torch.Tensor, sizes: Sequence[int]) -> List[int]:
    return [sizes] if isinstance(sizes, int) else list(sizes)


def _average(dims: int) -> Rule:
    """Return the rule of avg_pool2d or avg_pool3d with another divisor, which TVM's importer ignores."""
    op = (aten.avg_pool2d.default, aten.avg_pool3d.default)[dims - 2]

    def rule(
        x: torch.Tensor,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor: Optional[int] = None,
    ) -> Any:
        if divisor is None or ceil_mode or not (count_include_pad or not any(padding)):
            return NotImplemented
        extents = list(kernel) * (dims if len(kernel) == 1 else 1)
        size = 1
        for extent in extents:
            size *= extent
        return op(x, kernel, stride, padding) * (size / divisor)

    return rule


def _batch_norm(
    x: torch.Tensor,
    weight: Optional[torch.Tensor],
    bias: Optional[torch.Tensor],
    mean: torch.Tensor,
    variance: torch.Tensor,
    _momentum: float,
    eps: float,
) -> Any:
    """Return one factor and one term for each channel: both are constants."""
    factor = aten.rsqrt(variance + eps)
    factor = factor if weight is None else factor * weight
    term = -mean * factor
    term = term if bias is None else term + bias
    shape = [1, -1] + [1] * (x.dim() - 2)
    empty = aten.empty.memory_format([0], device=x.device)
    return x * factor.reshape(shape) + term.reshape(shape), empty, empty


def _group_norm(
    x: torch.Tensor,
    weight: Optional[torch.Tensor],
    bias: Optional[torch.Tensor],
    batch: int,
    _channels: int,
    _size: int,
    groups: int,
    eps: float,
) -> Any:
    grouped = x.reshape([batch, groups, -1])
    mean = aten.mean.dim(grouped, [-1], True)
    centred = grouped - mean
    inverse = aten.rsqrt(aten.mean.dim(centred * centred, [-1], True) + eps)
    made = (centred * inverse).reshape(x.shape)
    shape = [1, -1] + [1] * (x.dim() - 2)
    made = made if weight is None else made * weight.reshape(shape)
    made = made if bias is None else made + bias.reshape(shape)
    return made, mean.squeeze(-1), inverse.squeeze(-1)


def _circular(x: torch.Tensor, padding: Sequence[int]) -> torch.Tensor:
    """Return a tensor that continues with its other end; paddings are given from the last dimension on."""
    for number in range(len(padding) // 2):
        axis = x.dim() - 1 - number
        before, after = padding[2 * number : 2 * number + 2]
        extent = x.shape[axis]
        parts = [
            aten.slice.Tensor(x, axis, extent - max(before, 0), extent),
            aten.slice.Tensor(x, axis, max(-before, 0), extent - max(-after, 0)),
            aten.slice.Tensor(x, axis, 0, max(after, 0)),
        ]
        x = aten.cat.default([part for part in parts if part.shape[axis]], axis)
    return x


def _pad(
    x: torch.Tensor, padding: Sequence[int], mode: str = "constant", value: Optional[float] = None
) -> Any:
    if mode == "constant" or not any(padding):
        return aten.constant_pad_nd.default(x, padding, value or 0)
    if mode == "circular":
        return _circular(x, padding)
    kinds = PADS.get(mode, {})
    return kinds[len(padding) // 2](x, padding) if len(padding) // 2 in kinds else NotImplemented


def _linear(
    x: torch.Tensor, size: Optional[Sequence[int]], corners: bool, scales: Optional[Sequence[float]]
) -> Any:
    """Return a linear resize of one dimension, as a bilinear one of two."""
    sizes = None if size is None else [1, *size]
    factors = None if scales is None else [1.0, *scales]
    return aten.upsample_bilinear2d.vec(x.unsqueeze(2), sizes, corners, factors).squeeze(2)


RULES: Final[Dict[Any, Rule]] = {
    aten._adaptive_avg_pool2d.default: _adaptive_average,
    aten._adaptive_avg_pool3d.default: _adaptive_average,
    aten.adaptive_avg_pool1d.default: _adaptive_average,
    aten.adaptive_max_pool2d.default: _adaptive_maximum,
    aten.adaptive_max_pool3d.default: _adaptive_maximum,
    aten.avg_pool2d.default: _average(2),
    aten.avg_pool3d.default: _average(3),
    aten._native_batch_norm_legit_no_training.default: _batch_norm,
    aten.pad.default: _pad,
    aten._pad_circular.default: _circular,
    aten.native_group_norm.default: _group_norm,
    aten.upsample_linear1d.vec: _linear,
}
"""Operator -> decomposition."""
