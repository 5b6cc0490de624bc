# SPDX-License-Identifier: Apache-2.0
"""Single operators of PyTorch: name -> function or module, and its inputs."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Mapping, Sequence, Tuple

import torch
from torch import nn
from torch.nn import functional as F

Case = Tuple[Callable[..., Any], Tuple[torch.Tensor, ...]]


def normal(*shape: int, seed: int = 7) -> torch.Tensor:
    """Return normally distributed numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + len(shape)))


def between(low: float, high: float, *shape: int) -> torch.Tensor:
    """Return uniformly distributed numbers."""
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(3))


def integers(low: int, high: int, *shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
    """Return integers from low to high - 1."""
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(5)).to(dtype)


def module(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a module with parameters that are the same in each run, in evaluation mode."""
    torch.manual_seed(11)
    made = make()
    for parameter in made.parameters():
        with torch.no_grad():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    for name, buffer in made.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(torch.rand(buffer.shape))
    return made.eval()


class Rnn(nn.Module):
    """Recurrent net that returns its sequence and its last state."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.inner = make()

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x)


X: Final = normal(2, 3, 4)
Y: Final = normal(2, 3, 4, seed=8)
IMAGE: Final = normal(1, 3, 8, 8)
SERIES: Final = normal(1, 4, 12)
VOLUME: Final = normal(1, 2, 4, 4, 4)
POSITIVE: Final = between(0.1, 3.0, 2, 3, 4)
UNIT: Final = between(-0.9, 0.9, 2, 3, 4)
WIDE: Final = between(-8.0, 8.0, 2, 3, 4)
WHOLE: Final = integers(-9, 10, 2, 3, 4)
MASK: Final = X > 0

UNARY: Final[Mapping[str, torch.Tensor]] = {
    **dict.fromkeys(("abs", "neg", "exp", "sin", "cos", "tanh", "sigmoid", "relu", "erf", "erfc"), X),
    **dict.fromkeys(("sign", "square", "sinh", "cosh", "atan", "asinh", "exp2", "expm1", "tan"), X),
    **dict.fromkeys(("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal"), POSITIVE),
    **dict.fromkeys(("asin", "acos", "atanh"), UNIT),
    **dict.fromkeys(("floor", "ceil", "round", "trunc", "frac", "deg2rad", "sgn"), WIDE),
    **dict.fromkeys(("isnan", "isinf", "isfinite", "logical_not", "positive", "signbit"), X),
    "acosh": POSITIVE + 1,
    "bitwise_not": WHOLE,
}
ACTIVATIONS: Final[Mapping[str, Callable[[torch.Tensor], Any]]] = {
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "leaky_relu_03": lambda x: F.leaky_relu(x, 0.3),
    "elu": F.elu,
    "elu_2": lambda x: F.elu(x, 2.0),
    "celu": lambda x: F.celu(x, 1.5),
    "selu": F.selu,
    "softplus": F.softplus,
    "softplus_beta": lambda x: F.softplus(x, 2.0, 5.0),
    "softsign": F.softsign,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "tanhshrink": F.tanhshrink,
    "logsigmoid": F.logsigmoid,
    "threshold": lambda x: F.threshold(x, 0.1, 20.0),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "glu": F.glu,
    "softmax": lambda x: F.softmax(x, -1),
    "softmax_0": lambda x: F.softmax(x, 0),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "softmin": lambda x: F.softmin(x, 1),
    "normalize": lambda x: F.normalize(x, dim=1),
    "dropout": lambda x: F.dropout(x, 0.5, training=False),
}
BINARY: Final = (
    *("add", "sub", "mul", "div", "maximum", "minimum", "atan2", "fmod", "remainder", "floor_divide"),
    *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "hypot", "copysign"),
    *("logaddexp", "fmax", "fmin", "heaviside"),
)
REDUCTIONS: Final = ("sum", "mean", "amax", "amin", "std", "var", "logsumexp", "norm", "argmax", "argmin")


def _elementwise() -> Dict[str, Case]:
    cases: Dict[str, Case] = {name: (getattr(torch, name), (x,)) for name, x in UNARY.items()}
    cases.update({f"act_{name}": (function, (WIDE,)) for name, function in ACTIVATIONS.items()})
    for name in BINARY:
        function = getattr(torch, name)
        cases[name] = (function, (X, Y))
        cases[f"{name}_broadcast"] = (function, (X, normal(3, 1)))
    cases.update(
        {
            "add_scalar": (lambda x: x + 2, (X,)),
            "add_alpha": (lambda x, y: torch.add(x, y, alpha=0.5), (X, Y)),
            "sub_alpha": (lambda x, y: torch.sub(x, y, alpha=2), (X, Y)),
            "rsub": (lambda x: 1.5 - x, (X,)),
            "rsub_alpha": (lambda x: torch.rsub(x, 2.0, alpha=3), (X,)),
            "rdiv": (lambda x: 2.0 / x, (POSITIVE,)),
            "div_scalar": (lambda x: x / 3, (X,)),
            "div_floor": (lambda x, y: torch.div(x, y, rounding_mode="floor"), (WIDE, POSITIVE)),
            "div_trunc": (lambda x, y: torch.div(x, y, rounding_mode="trunc"), (WIDE, POSITIVE)),
            "div_integers": (lambda x, y: x / y, (WHOLE, integers(1, 5, 2, 3, 4))),
            "floor_divide_integers": (lambda x: x // 3, (WHOLE,)),
            "floor_divide_negative": (lambda x: x // -3, (WHOLE,)),
            "trunc_divide_integers": (lambda x: torch.div(x, 3, rounding_mode="trunc"), (WHOLE,)),
            "remainder_integers": (lambda x: x % 4, (WHOLE,)),
            "remainder_negative": (lambda x: x % -4, (WHOLE,)),
            "fmod_integers": (lambda x: torch.fmod(x, 4), (WHOLE,)),
            "remainder_scalar": (lambda x: x % 0.7, (WIDE,)),
            "fmod_scalar": (lambda x: torch.fmod(x, 0.7), (WIDE,)),
            "pow_2": (lambda x: x**2, (X,)),
            "pow_3": (lambda x: x**3, (X,)),
            "pow_half": (lambda x: x**0.5, (POSITIVE,)),
            "pow_minus_1": (lambda x: x**-1, (POSITIVE,)),
            "pow_fraction": (lambda x: x**1.7, (POSITIVE,)),
            "pow_tensor": (torch.pow, (POSITIVE, Y)),
            "pow_of_scalar": (lambda x: 2.0**x, (X,)),
            "pow_integers": (lambda x: x**2, (WHOLE,)),
            "mixed_types": (lambda x, n: x * n + n, (X, WHOLE)),
            "mixed_scalar": (lambda n: n * 1.5, (WHOLE,)),
            "bool_to_float": (lambda x: (x > 0) * x, (X,)),
            "bool_sum": (lambda x: (x > 0).sum(1), (X,)),
            "clamp": (lambda x: x.clamp(-0.5, 0.7), (X,)),
            "clamp_min": (lambda x: x.clamp(min=0.1), (X,)),
            "clamp_max": (lambda x: x.clamp(max=0.1), (X,)),
            "clamp_tensor": (lambda x, y: torch.clamp(x, min=y), (X, Y)),
            "clamp_integers": (lambda x: x.clamp(-3, 4), (WHOLE,)),
            "where": (torch.where, (MASK, X, Y)),
            "where_scalar": (lambda m, x: torch.where(m, x, 0.5), (MASK, X)),
            "where_mixed": (torch.where, (MASK, X, WHOLE)),
            "masked_fill": (lambda x, m: x.masked_fill(m, -1e9), (X, MASK)),
            "masked_fill_inf": (lambda x, m: x.masked_fill(m, float("-inf")).softmax(-1), (X, X > 1.5)),
            "lerp": (lambda x, y: torch.lerp(x, y, 0.3), (X, Y)),
            "addcmul": (lambda x, y: torch.addcmul(x, x, y, value=0.4), (X, Y)),
            "addcdiv": (lambda x, y: torch.addcdiv(x, x, y, value=0.4), (X, POSITIVE)),
            "nan_to_num": (torch.nan_to_num, (torch.tensor([1.0, float("nan"), float("inf")]),)),
            "bitwise_and": (lambda x: x & 6, (WHOLE,)),
            "bitwise_or": (lambda x, y: x | y, (WHOLE, WHOLE.flip(0))),
            "bitwise_xor": (lambda x: x ^ 5, (WHOLE,)),
            "bitwise_shift": (lambda x: (x << 2) >> 1, (WHOLE.abs(),)),
            "logical_and_bool": (lambda x, y: (x > 0) & (y > 0), (X, Y)),
            "to_int32": (lambda x: x.to(torch.int32), (WIDE,)),
            "to_int8": (lambda x: x.to(torch.int8), (WIDE,)),
            "to_uint8": (lambda x: x.to(torch.uint8), (POSITIVE,)),
            "to_int64": (lambda x: x.long(), (WIDE,)),
            "to_bool": (lambda x: x.bool(), (X.round(),)),
            "to_float": (lambda x: x.float() / 2, (WHOLE,)),
            "to_float_from_bool": (lambda x: (x > 0).float(), (X,)),
            "to_same": (lambda x: x.to(torch.float32) * 2, (X,)),
            "type_as": (lambda x, y: x.type_as(y), (WHOLE, X)),
            "in_place": (lambda x: x.clone().add_(1).mul_(2).relu_(), (X,)),
            "int8_add": (lambda x: x + x, (integers(-60, 60, 5, dtype=torch.int8),)),
            "int32_mul": (lambda x: x * 3, (integers(-60, 60, 5, dtype=torch.int32),)),
            "scalar_output": (lambda x: x.sum() * 2, (X,)),
        }
    )
    return cases


def _reductions() -> Dict[str, Case]:
    cases: Dict[str, Case] = {}
    for name in REDUCTIONS:
        function = getattr(torch, name)
        cases[f"{name}_dim"] = (lambda x, f=function: f(x, dim=1), (X,))
        cases[f"{name}_keepdim"] = (lambda x, f=function: f(x, dim=-1, keepdim=True), (X,))
        if name not in ("argmax", "argmin"):
            cases[f"{name}_dims"] = (lambda x, f=function: f(x, dim=(0, 2)), (X,))
        if name not in ("logsumexp",):
            cases[f"{name}_all"] = (function, (X,))
    cases.update(
        {
            "max_all": (torch.max, (X,)),
            "min_all": (torch.min, (X,)),
            "max_dim": (lambda x: torch.max(x, 1), (X,)),
            "min_dim": (lambda x: torch.min(x, 1, keepdim=True), (X,)),
            "max_dim_values": (lambda x: torch.max(x, -1).values, (X,)),
            "sum_integers": (lambda x: x.sum(1), (WHOLE,)),
            "sum_int32": (lambda x: x.sum(1), (WHOLE.to(torch.int32),)),
            "mean_dtype": (lambda x: x.mean(1, dtype=torch.float32), (WHOLE,)),
            "amax_integers": (lambda x: x.amax(1), (WHOLE,)),
            "prod": (torch.prod, (X,)),
            "prod_dim": (lambda x: x.prod(1), (X,)),
            "any": (lambda x: (x > 1).any(), (X,)),
            "any_dim": (lambda x: (x > 1).any(1), (X,)),
            "all": (lambda x: (x > -9).all(), (X,)),
            "all_dim": (lambda x: (x > -1).all(-1, keepdim=True), (X,)),
            "var_biased": (lambda x: x.var(1, unbiased=False), (X,)),
            "std_mean": (lambda x: torch.std_mean(x, 1), (X,)),
            "var_mean": (lambda x: torch.var_mean(x, (0, 1), correction=0, keepdim=True), (X,)),
            "norm_1": (lambda x: x.norm(1, dim=1), (X,)),
            "norm_3": (lambda x: x.norm(3, dim=1), (X,)),
            "norm_inf": (lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1), (X,)),
            "norm_0": (lambda x: torch.linalg.vector_norm(x, 0, dim=1), (X.round(),)),
            "count_nonzero": (lambda x: torch.count_nonzero(x, dim=1), (X.round(),)),
            "median": (lambda x: torch.median(x, 1).values, (X,)),
            "argmax_flat": (torch.argmax, (X,)),
            "argmax_ties": (lambda x: torch.argmax(x, 1), (X.round(),)),
            "argmin_ties": (lambda x: torch.argmin(x, 1, keepdim=True), (X.round(),)),
            "cumsum": (lambda x: x.cumsum(1), (X,)),
            "cumsum_negative": (lambda x: x.cumsum(-1), (X,)),
            "cumsum_integers": (lambda x: x.cumsum(0), (WHOLE,)),
            "cumprod": (lambda x: x.cumprod(1), (X,)),
            "cummax": (lambda x: x.cummax(1).values, (X,)),
            "logcumsumexp": (lambda x: x.logcumsumexp(1), (X,)),
            "topk": (lambda x: torch.topk(x, 2), (X,)),
            "sort": (lambda x: torch.sort(x, 1), (X,)),
            "argsort": (lambda x: torch.argsort(x, 1), (X,)),
            "cosine_similarity": (lambda x, y: F.cosine_similarity(x, y, dim=1), (X, Y)),
            "cdist": (torch.cdist, (normal(1, 3, 4), normal(1, 5, 4))),
            "trace": (torch.trace, (normal(4, 4),)),
            "mse_loss": (F.mse_loss, (X, Y)),
            "cross_entropy": (F.cross_entropy, (normal(3, 5), integers(0, 5, 3))),
        }
    )
    return cases


def _windows() -> Dict[str, Case]:
    return {
        "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2, 1), (SERIES,)),
        "max_pool2d": (lambda x: F.max_pool2d(x, 2), (IMAGE,)),
        "max_pool2d_padded": (lambda x: F.max_pool2d(x, 3, 2, 1), (IMAGE,)),
        "max_pool2d_ceil": (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), (IMAGE,)),
        "max_pool2d_dilated": (lambda x: F.max_pool2d(x, 2, 1, dilation=2), (IMAGE,)),
        "max_pool2d_indices": (lambda x: F.max_pool2d(x, 2, return_indices=True), (IMAGE,)),
        "max_pool3d": (lambda x: F.max_pool3d(x, 2), (VOLUME,)),
        "max_pool2d_unbatched": (lambda x: F.max_pool2d(x, 2), (normal(3, 8, 8),)),
        "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1), (SERIES,)),
        "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), (IMAGE,)),
        "avg_pool2d_padded": (lambda x: F.avg_pool2d(x, 3, 2, 1), (IMAGE,)),
        "avg_pool2d_no_pad": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (IMAGE,)),
        "avg_pool2d_ceil": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), (IMAGE,)),
        "avg_pool2d_ceil_pad": (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), (normal(1, 2, 6, 6),)),
        "avg_pool2d_divisor": (lambda x: F.avg_pool2d(x, 2, divisor_override=3), (IMAGE,)),
        "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), (VOLUME,)),
        "lp_pool2d": (lambda x: F.lp_pool2d(x, 2, 2), (IMAGE.abs(),)),
        "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 5), (SERIES,)),
        "adaptive_avg_pool2d_1": (lambda x: F.adaptive_avg_pool2d(x, 1), (IMAGE,)),
        "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (3, 5)), (IMAGE,)),
        "adaptive_avg_pool3d": (lambda x: F.adaptive_avg_pool3d(x, 2), (VOLUME,)),
        "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 4), (SERIES,)),
        "adaptive_max_pool2d_1": (lambda x: F.adaptive_max_pool2d(x, 1), (IMAGE,)),
        "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (3, 5)), (IMAGE,)),
        "adaptive_max_pool3d": (lambda x: F.adaptive_max_pool3d(x, 2), (VOLUME,)),
        "pad": (lambda x: F.pad(x, (1, 2, 0, 1)), (IMAGE,)),
        "pad_value": (lambda x: F.pad(x, (1, 2), value=3.5), (SERIES,)),
        "pad_crop": (lambda x: F.pad(x, (-1, 2)), (SERIES,)),
        "pad_reflect": (lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"), (IMAGE,)),
        "pad_reflect_1d": (lambda x: F.pad(x, (2, 1), mode="reflect"), (SERIES,)),
        "pad_replicate": (lambda x: F.pad(x, (2, 1, 1, 2), mode="replicate"), (IMAGE,)),
        "pad_circular": (lambda x: F.pad(x, (2, 1, 1, 2), mode="circular"), (IMAGE,)),
        "upsample_nearest": (lambda x: F.interpolate(x, scale_factor=2), (IMAGE,)),
        "upsample_nearest_size": (lambda x: F.interpolate(x, size=(11, 5)), (IMAGE,)),
        "upsample_nearest_1d": (lambda x: F.interpolate(x, scale_factor=3), (SERIES,)),
        "upsample_nearest_3d": (lambda x: F.interpolate(x, scale_factor=2), (VOLUME,)),
        "upsample_nearest_exact": (
            lambda x: F.interpolate(x, size=(5, 11), mode="nearest-exact"),
            (IMAGE,),
        ),
        "upsample_linear": (lambda x: F.interpolate(x, scale_factor=2, mode="linear"), (SERIES,)),
        "upsample_bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (IMAGE,)),
        "upsample_bilinear_size": (lambda x: F.interpolate(x, size=(5, 13), mode="bilinear"), (IMAGE,)),
        "upsample_bilinear_corners": (
            lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
            (IMAGE,),
        ),
        "upsample_bicubic": (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), (IMAGE,)),
        "upsample_antialias": (
            lambda x: F.interpolate(x, size=(4, 4), mode="bilinear", antialias=True),
            (IMAGE,),
        ),
        "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (normal(1, 8, 3, 3),)),
        "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), (IMAGE,)),
        "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), (normal(1, 8, 3, 3),)),
        "unfold": (lambda x: F.unfold(x, 3, padding=1), (IMAGE,)),
        "fold": (lambda x: F.fold(x, (4, 4), 2, stride=2), (normal(1, 12, 4),)),
        "tensor_unfold": (lambda x: x.unfold(2, 4, 2), (SERIES,)),
        "grid_sample": (
            lambda x, g: F.grid_sample(x, g, align_corners=False),
            (IMAGE, between(-0.9, 0.9, 1, 4, 4, 2)),
        ),
    }


def _shapes() -> Dict[str, Case]:
    return {
        "cat": (lambda x, y: torch.cat([x, y], 1), (X, Y)),
        "cat_negative": (lambda x, y: torch.cat([x, y, x], -1), (X, Y)),
        "cat_mixed": (lambda x, n: torch.cat([x, n], 0), (X, WHOLE)),
        "stack": (lambda x, y: torch.stack([x, y], 1), (X, Y)),
        "stack_last": (lambda x, y: torch.stack([x, y], -1), (X, Y)),
        "split": (lambda x: torch.split(x, 2, 1), (X,)),
        "split_sizes": (lambda x: torch.split(x, [1, 3], 2), (X,)),
        "chunk": (lambda x: torch.chunk(x, 2, -1), (X,)),
        "chunk_uneven": (lambda x: torch.chunk(x, 2, 1), (X,)),
        "tensor_split": (lambda x: torch.tensor_split(x, 3, 2), (X,)),
        "unbind": (lambda x: torch.unbind(x, 1), (X,)),
        "view": (lambda x: x.view(6, 4), (X,)),
        "view_minus_1": (lambda x: x.view(2, -1), (X,)),
        "reshape": (lambda x: x.transpose(0, 1).reshape(-1, 8), (X,)),
        "permute": (lambda x: x.permute(2, 0, 1), (X,)),
        "permute_negative": (lambda x: x.permute(-1, 0, -2) * 2, (X,)),
        "transpose": (lambda x: x.transpose(1, -1), (X,)),
        "t": (lambda x: x.t(), (normal(3, 5),)),
        "flatten": (lambda x: x.flatten(1), (X,)),
        "unflatten": (lambda x: x.unflatten(2, (2, 2)), (X,)),
        "squeeze": (lambda x: x.squeeze(), (normal(1, 3, 1, 2),)),
        "squeeze_dim": (lambda x: x.squeeze(-2), (normal(1, 3, 1, 2),)),
        "unsqueeze": (lambda x: x.unsqueeze(-1) + x.unsqueeze(1), (normal(3, 3),)),
        "movedim": (lambda x: x.movedim(0, 2), (X,)),
        "select": (lambda x: x[:, 1], (X,)),
        "select_last": (lambda x: x[:, -1], (X,)),
        "select_last_of_last": (lambda x: x[..., -2], (X,)),
        "select_twice": (lambda x: x[-1, -1], (X,)),
        "slice": (lambda x: x[:, 1:3], (X,)),
        "slice_negative": (lambda x: x[:, -2:], (X,)),
        "slice_to_negative": (lambda x: x[..., :-1], (X,)),
        "slice_step": (lambda x: x[..., ::2], (X,)),
        "slice_step_negative": (lambda x: x[..., -3::2], (X,)),
        "slice_beyond": (lambda x: x[:, :100], (X,)),
        "slice_below": (lambda x: x[:, -100:2], (X,)),
        "slice_assign": (_slice_assign, (X,)),
        "select_assign": (_select_assign, (X,)),
        "narrow": (lambda x: x.narrow(2, 1, 2), (X,)),
        "narrow_negative": (lambda x: x.narrow(2, -3, 2), (X,)),
        "index_list": (lambda x: x[:, [0, 2, 1, -1]], (X,)),
        "index_two": (lambda x: x[[0, 1, -1], [-1, 0, 2]], (X,)),
        "index_none": (lambda x: x[None, :, 0], (X,)),
        "index_tensor": (lambda x, i: x[i], (X, integers(0, 2, 3))),
        "index_tensor_negative": (lambda x, i: x[i], (X, integers(-2, 2, 5))),
        "index_tensor_middle": (lambda x, i: x[:, i], (X, integers(-3, 3, 5))),
        "index_mask": (lambda x: x[x > 0], (X,)),
        "index_select": (lambda x, i: x.index_select(1, i), (X, integers(0, 3, 4))),
        "index_add": (lambda x, i, y: x.index_add(0, i, y), (X, torch.tensor([0, 1]), Y)),
        "index_put": (_index_put, (X, torch.tensor([1, -1]))),
        "gather": (lambda x, i: x.gather(1, i), (X, integers(0, 3, 2, 2, 4))),
        "gather_last": (lambda x, i: x.gather(-1, i), (X, integers(0, 4, 2, 3, 2))),
        "take": (torch.take, (X, integers(-24, 24, 5))),
        "take_along_dim": (lambda x, i: torch.take_along_dim(x, i, 1), (X, integers(0, 3, 2, 2, 4))),
        "scatter": (lambda x, i, y: x.scatter(1, i, y), (X, torch.zeros(2, 1, 4, dtype=torch.int64), Y)),
        "scatter_value": (lambda x, i: x.scatter(1, i, 2.0), (X, torch.ones(2, 1, 4, dtype=torch.int64))),
        "scatter_add": (lambda x, i, y: x.scatter_add(1, i, y), (X, integers(0, 3, 2, 3, 4), Y)),
        "embedding": (module(lambda: nn.Embedding(7, 5)), (integers(0, 7, 2, 3),)),
        "embedding_padding": (module(lambda: nn.Embedding(7, 5, padding_idx=0)), (integers(0, 7, 4),)),
        "embedding_int32": (module(lambda: nn.Embedding(7, 5)), (integers(0, 7, 4, dtype=torch.int32),)),
        "embedding_bag": (module(lambda: nn.EmbeddingBag(7, 5)), (integers(0, 7, 2, 3),)),
        "one_hot": (lambda i: F.one_hot(i, 5), (integers(0, 5, 2, 3),)),
        "one_hot_float": (lambda i: F.one_hot(i, 5).float(), (integers(0, 5, 4),)),
        "repeat": (lambda x: x.repeat(1, 2, 1), (X,)),
        "repeat_more": (lambda x: x.repeat(2, 1, 2, 1), (X,)),
        "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), (X,)),
        "expand": (lambda x: x.expand(2, 4, 3), (normal(4, 1),)),
        "expand_minus_1": (lambda x: x.expand(-1, 4, -1) + 1, (normal(2, 1, 3),)),
        "expand_as": (lambda x, y: x.expand_as(y), (normal(3, 1), X)),
        "broadcast_to": (lambda x: torch.broadcast_to(x, (2, 3, 4)), (normal(3, 1),)),
        "tile": (lambda x: torch.tile(x, (2, 2)), (X,)),
        "roll": (lambda x: torch.roll(x, 1, 1), (X,)),
        "roll_negative": (lambda x: torch.roll(x, (-1, 2), (0, 2)), (X,)),
        "roll_flat": (lambda x: torch.roll(x, 5), (X,)),
        "flip": (lambda x: x.flip(1), (X,)),
        "flip_two": (lambda x: x.flip(0, -1), (X,)),
        "rot90": (lambda x: torch.rot90(x, 1, (1, 2)), (X,)),
        "tril": (lambda x: x.tril(), (X,)),
        "tril_1": (lambda x: x.tril(1), (X,)),
        "triu": (lambda x: x.triu(), (X,)),
        "triu_minus_1": (lambda x: x.triu(-1), (X,)),
        "diagonal": (lambda x: x.diagonal(0, 1, 2), (X,)),
        "diag": (torch.diag, (normal(4),)),
        "meshgrid": (lambda x, y: torch.meshgrid(x, y, indexing="ij"), (normal(3), normal(4))),
        "arange": (lambda x: x + torch.arange(4), (X,)),
        "linspace": (lambda x: x + torch.linspace(0, 1, 4), (X,)),
        "full": (lambda x: x + torch.full((3, 4), 2.5), (X,)),
        "zeros": (lambda x: torch.cat([x, torch.zeros(2, 1, 4)], 1), (X,)),
        "zeros_like": (lambda x: torch.cat([x, torch.zeros_like(x), torch.ones_like(x)], 1), (X,)),
        "new_full": (lambda x: torch.cat([x, x.new_full((2, 1, 4), 7)], 1), (X,)),
        "eye": (lambda x: x + torch.eye(3, 4), (X,)),
        "constant": (lambda x: x * torch.tensor([1.0, 2.0, 3.0, 4.0]), (X,)),
        "causal_mask": (
            lambda x: x.masked_fill(torch.ones(3, 4).triu(1).bool(), float("-inf")).softmax(-1),
            (X,),
        ),
        "identity": (lambda x: x, (X,)),
        "same_twice": (lambda x: (x + 1, x, x + 1), (X,)),
        "constant_output": (lambda x: (x + 1, torch.arange(3)), (X,)),
        "as_strided": (lambda x: x.as_strided((2, 2), (4, 1), 1), (X,)),
        "complex": (lambda x: torch.view_as_real(torch.view_as_complex(x.contiguous()) * 2), (normal(3, 2),)),
        "fft": (lambda x: torch.fft.rfft(x).abs(), (SERIES,)),
        "nonzero": (torch.nonzero, (X,)),
        "unique": (torch.unique, (WHOLE,)),
        "bucketize": (lambda x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])), (X,)),
        "isin": (lambda x: torch.isin(x, torch.tensor([1, 2, 3])), (WHOLE,)),
        "rand": (lambda x: x + torch.rand(4), (X,)),
        "randn_like": (lambda x: x + torch.randn_like(x), (X,)),
        "dropout_training": (lambda x: F.dropout(x, 0.5, training=True), (X,)),
        "bernoulli": (torch.bernoulli, (between(0, 1, 3, 4),)),
        "empty": (lambda x: x + torch.empty(4).fill_(2), (X,)),
        "float64": (lambda x: x.double().sum(1).float(), (X,)),
        "float16": (lambda x: x.half().float(), (X,)),
        "bfloat16": (lambda x: x.bfloat16() * 2, (X,)),
    }


def _slice_assign(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, 1:, ::2] = 5.0
    return y


def _select_assign(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, -1] = y[:, 0]
    return y


def _index_put(x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[i] = 3.0
    return y


def _layers() -> Dict[str, Case]:
    layers: Mapping[str, Tuple[Callable[[], nn.Module], torch.Tensor]] = {
        "linear": (lambda: nn.Linear(4, 5), X),
        "linear_no_bias": (lambda: nn.Linear(4, 5, bias=False), normal(2, 4)),
        "linear_vector": (lambda: nn.Linear(4, 5), normal(4)),
        "bilinear": (lambda: Pair(nn.Bilinear(4, 4, 3)), X),
        "conv1d": (lambda: nn.Conv1d(4, 6, 3, padding=1), SERIES),
        "conv1d_dilated": (lambda: nn.Conv1d(4, 6, 3, dilation=2, padding="same"), SERIES),
        "conv1d_stride_group": (lambda: nn.Conv1d(4, 6, 3, stride=2, groups=2), SERIES),
        "conv1d_circular": (lambda: nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular"), SERIES),
        "conv2d": (lambda: nn.Conv2d(3, 5, 3, padding=1), IMAGE),
        "conv2d_stride": (lambda: nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(1, 0)), IMAGE),
        "conv2d_depthwise": (lambda: nn.Conv2d(3, 6, 3, groups=3, bias=False), IMAGE),
        "conv2d_unbatched": (lambda: nn.Conv2d(3, 5, 3), normal(3, 8, 8)),
        "conv2d_same_even": (lambda: nn.Conv2d(3, 5, 4, padding="same"), IMAGE),
        "conv2d_reflect": (lambda: nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), IMAGE),
        "conv3d": (lambda: nn.Conv3d(2, 3, 2, padding=1), VOLUME),
        "conv_transpose1d": (lambda: nn.ConvTranspose1d(4, 3, 3, stride=2, padding=1), SERIES),
        "conv_transpose2d": (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1), IMAGE),
        "conv_transpose2d_output": (
            lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=1),
            IMAGE,
        ),
        "conv_transpose2d_groups": (lambda: nn.ConvTranspose2d(3, 6, 2, stride=2, groups=3), IMAGE),
        "conv_transpose2d_dilated": (lambda: nn.ConvTranspose2d(3, 4, 3, dilation=2), IMAGE),
        "conv_transpose3d": (lambda: nn.ConvTranspose3d(2, 3, 2, stride=2), VOLUME),
        "batch_norm1d": (lambda: nn.BatchNorm1d(4), SERIES),
        "batch_norm1d_flat": (lambda: nn.BatchNorm1d(4), normal(2, 4)),
        "batch_norm2d": (lambda: nn.BatchNorm2d(3), IMAGE),
        "batch_norm_plain": (lambda: nn.BatchNorm2d(3, affine=False), IMAGE),
        "batch_norm_no_stats": (lambda: nn.BatchNorm2d(3, track_running_stats=False), IMAGE),
        "batch_norm3d": (lambda: nn.BatchNorm3d(2), VOLUME),
        "layer_norm": (lambda: nn.LayerNorm(4), X),
        "layer_norm_two": (lambda: nn.LayerNorm((3, 4)), X),
        "layer_norm_plain": (lambda: nn.LayerNorm(4, elementwise_affine=False), X),
        "rms_norm": (lambda: nn.RMSNorm(4), X),
        "group_norm": (lambda: nn.GroupNorm(2, 4), SERIES),
        "group_norm_2d": (lambda: nn.GroupNorm(3, 3, affine=False), IMAGE),
        "instance_norm": (lambda: nn.InstanceNorm2d(3), IMAGE),
        "instance_norm_affine": (lambda: nn.InstanceNorm1d(4, affine=True), SERIES),
        "local_response_norm": (lambda: nn.LocalResponseNorm(2), IMAGE),
        "prelu": (nn.PReLU, IMAGE),
        "prelu_channels": (lambda: nn.PReLU(3), IMAGE),
        "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), X),
        "rnn": (lambda: Rnn(lambda: nn.RNN(4, 5, batch_first=True)), X),
        "rnn_relu": (lambda: Rnn(lambda: nn.RNN(4, 5, nonlinearity="relu")), X),
        "gru": (lambda: Rnn(lambda: nn.GRU(4, 5, 2, batch_first=True)), X),
        "gru_bidirectional": (lambda: Rnn(lambda: nn.GRU(4, 5, bidirectional=True)), X),
        "lstm": (lambda: Rnn(lambda: nn.LSTM(4, 5, batch_first=True)), X),
        "lstm_projection": (lambda: Rnn(lambda: nn.LSTM(4, 5, proj_size=2)), X),
        "lstm_bidirectional": (lambda: Rnn(lambda: nn.LSTM(4, 3, 2, bidirectional=True)), X),
        "gru_cell": (lambda: nn.GRUCell(4, 5), normal(2, 4)),
        "lstm_cell": (lambda: nn.LSTMCell(4, 5), normal(2, 4)),
        "attention": (Attention, normal(1, 5, 8)),
        "encoder_layer": (
            lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            normal(1, 5, 8),
        ),
    }
    cases: Dict[str, Case] = {name: (module(make), (x,)) for name, (make, x) in layers.items()}
    heads = normal(1, 2, 5, 4)
    cases.update(
        {
            "matmul": (torch.matmul, (X, normal(2, 4, 5))),
            "matmul_vector": (torch.matmul, (X, normal(4))),
            "matmul_of_vectors": (torch.matmul, (normal(4), normal(4, seed=9))),
            "matmul_broadcast": (torch.matmul, (X, normal(4, 5))),
            "matmul_integers": (torch.matmul, (integers(-5, 5, 2, 3), integers(-5, 5, 3, 4))),
            "mm": (torch.mm, (normal(2, 3), normal(3, 4))),
            "mv": (torch.mv, (normal(2, 3), normal(3))),
            "dot": (torch.dot, (normal(3), normal(3, seed=9))),
            "bmm": (torch.bmm, (X, normal(2, 4, 5))),
            "outer": (torch.outer, (normal(3), normal(4))),
            "addmm": (
                lambda a, b, c: torch.addmm(a, b, c, beta=0.5, alpha=2),
                (normal(2, 4), normal(2, 3), normal(3, 4)),
            ),
            "baddbmm": (
                lambda a, b, c: torch.baddbmm(a, b, c, beta=0.5, alpha=2),
                (normal(2, 3, 5), X, normal(2, 4, 5)),
            ),
            "addmv": (torch.addmv, (normal(2), normal(2, 3), normal(3))),
            "einsum": (lambda x, y: torch.einsum("bij,bkj->bik", x, y), (X, Y)),
            "einsum_sum": (lambda x: torch.einsum("bij->j", x), (X,)),
            "einsum_outer": (lambda x, y: torch.einsum("i,j->ij", x, y), (normal(3), normal(4))),
            "tensordot": (lambda x, y: torch.tensordot(x, y, dims=([1, 2], [1, 2])), (X, Y)),
            "kron": (torch.kron, (normal(2, 2), normal(2, 3))),
            "sdpa": (F.scaled_dot_product_attention, (heads, heads + 1, heads * 2)),
            "sdpa_causal": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), (heads,)),
            "sdpa_mask": (
                lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m > 0),
                (heads, torch.eye(5)),
            ),
            "conv2d_of_inputs": (F.conv2d, (IMAGE, normal(2, 3, 3, 3))),
            "linalg_norm": (torch.linalg.norm, (normal(3, 4),)),
            "inverse": (torch.linalg.inv, (normal(3, 3),)),
        }
    )
    return cases


class Pair(nn.Module):
    """Layer of two inputs that gets one input twice."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x, x)


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x, x, x)


def all_cases() -> Mapping[str, Case]:
    """Return all cases."""
    groups: Sequence[Dict[str, Case]] = (_elementwise(), _reductions(), _windows(), _shapes(), _layers())
    found = {name: case for group in groups for name, case in group.items()}
    assert len(found) == sum(map(len, groups)), "a name is used twice"
    return found
