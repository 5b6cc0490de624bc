# SPDX-License-Identifier: Apache-2.0
"""Random small modules of PyTorch: chains of operators on one tensor, which also join earlier tensors."""

from __future__ import annotations

import random
from typing import Any, Callable, List, Sequence, Tuple

import torch
from torch import nn
from torch.nn import functional as F

Step = Callable[[torch.Tensor], torch.Tensor]
MOST_ELEMENTS = 2048
SMALLEST_RANGE = 1e-3


class Chain(nn.Module):
    """Steps in order; each returns a tensor, and some read earlier tensors."""

    def __init__(self, steps: Sequence[Tuple[Any, int]]) -> None:
        super().__init__()
        self.steps = [step for step, _ in steps]
        self.earlier = [back for _, back in steps]
        self.layers = nn.ModuleList([step for step in self.steps if isinstance(step, nn.Module)])

    def forward(self, x: torch.Tensor) -> Any:
        made: List[torch.Tensor] = [x]
        for step, back in zip(self.steps, self.earlier):
            made.append(step(made[-1]) if back == 0 else step(made[-1], made[-1 - back]))
        return made[-1], made[len(made) // 2]


def random_module(seed: int) -> Tuple[nn.Module, torch.Tensor]:
    """Return a module and its input, the same for a seed."""
    choose = random.Random(seed)
    torch.manual_seed(seed)
    shape = [choose.randint(1, 2)] + [choose.randint(2, 6) for _ in range(choose.randint(1, 3))]
    x = torch.randn(shape)
    steps: List[Tuple[Any, int]] = []
    made = [x]
    for _ in range(choose.randint(3, 9)):
        step, back = _step(choose, made)
        with torch.no_grad():
            result = step(made[-1]) if back == 0 else step(made[-1], made[-1 - back])
        if not 0 < result.numel() <= MOST_ELEMENTS or not bool(result.isfinite().all()):
            continue
        if float(result.max() - result.min()) < SMALLEST_RANGE:  # a normalization of it shows rounding only
            continue
        steps.append((step, back))
        made.append(result)
    return Chain(steps).eval(), x


def _step(choose: random.Random, made: Sequence[torch.Tensor]) -> Tuple[Any, int]:
    """Return a step that the last tensor allows, and how far back its second operand lies."""
    x = made[-1]
    same = [back for back in range(1, len(made)) if made[-1 - back].shape == x.shape]
    if same and choose.random() < 0.3:
        joins = (torch.add, torch.mul, torch.maximum, _concatenate(choose.randrange(x.dim())), torch.sub)
        return choose.choice(joins), choose.choice(same)
    groups = [_elementwise, _moves, _reductions]
    groups += [_layers] * 2
    group: Any = choose.choice(groups)
    return group(choose, x), 0


def _concatenate(dim: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda x, y: torch.cat([x, y], dim)


def _elementwise(choose: random.Random, _x: torch.Tensor) -> Step:
    factor = choose.uniform(-2, 2)
    steps: List[Step] = [
        *(torch.relu, torch.tanh, torch.sigmoid, F.silu, F.gelu, F.elu, F.hardswish, torch.abs),
        *(F.softplus, F.mish, F.leaky_relu, F.relu6, torch.sin, torch.erf),
        lambda x: x * factor,
        lambda x: x.clamp(-0.5, 1.0),
        lambda x: torch.where(x > factor, x, x * 0.1),
        lambda x: (x + factor) ** 2,
        lambda x: torch.sqrt(x.abs() + 0.1),
        lambda x: x.masked_fill(x < factor, 0.25),
    ]
    return choose.choice(steps)


def _moves(choose: random.Random, x: torch.Tensor) -> Step:
    dim = choose.randrange(-x.dim(), x.dim())
    other = choose.randrange(x.dim())
    index = choose.randrange(-x.shape[dim], x.shape[dim])
    start = choose.randrange(-x.shape[dim], x.shape[dim])
    places = torch.tensor([choose.randrange(-x.shape[dim], x.shape[dim]) for _ in range(3)])
    order = list(range(x.dim()))
    choose.shuffle(order)
    moves: List[Step] = [
        lambda y: y.transpose(dim, other),
        lambda y: y.permute(order),
        lambda y: y.flip(dim),
        lambda y: y.roll(index, dim),
        lambda y: y.reshape(y.shape[0], -1),
        lambda y: y.narrow(dim, start % y.shape[dim], 1),
        lambda y: torch.cat(y.chunk(2, dim)[::-1], dim),
        lambda y: y.repeat_interleave(2, dim),
        lambda y: F.pad(y, (1, 2)),
        lambda y: y.tril(),
        lambda y: y.movedim(dim, other),
        lambda y: y.index_select(dim, places % y.shape[dim]),
        lambda y: y.cumsum(dim),
        lambda y: y.unsqueeze(dim) if y.dim() < 4 else y,
    ]
    if x.dim() > 1:
        moves += [lambda y: y.select(dim, index), lambda y: y.squeeze(dim)]
        moves += [lambda y: y[:, places % y.shape[1]], lambda y: y[..., ::2], lambda y: y[..., -1:]]
    return choose.choice(moves)


def _reductions(choose: random.Random, x: torch.Tensor) -> Step:
    dim, keep = choose.randrange(-x.dim(), x.dim()), x.dim() < 2 or choose.random() < 0.5
    return choose.choice(
        [
            lambda y: y.mean(dim, keepdim=keep),
            lambda y: y.sum(dim, keepdim=keep),
            lambda y: y.amax(dim, keepdim=keep),
            lambda y: y.amin(dim, keepdim=keep),
            lambda y: torch.logsumexp(y, dim, keepdim=keep),
            lambda y: y.norm(dim=dim, keepdim=keep),
            lambda y: y.var(dim, keepdim=keep, unbiased=False),
            lambda y: y.softmax(dim),
            lambda y: y.log_softmax(dim),
            lambda y: y - y.mean(dim, keepdim=True),
            lambda y: F.normalize(y, dim=dim),
            lambda y: y.max(dim, keepdim=keep).values,
        ]
    )


def _layers(choose: random.Random, x: torch.Tensor) -> Any:
    width = choose.randint(1, 6)
    layers: List[Callable[[], nn.Module]] = [
        lambda: nn.Linear(x.shape[-1], width),
        lambda: nn.LayerNorm(x.shape[-1]),
    ]
    if x.dim() == 3:
        channels = x.shape[1]
        layers += [
            lambda: nn.Conv1d(channels, width, min(3, x.shape[2]), padding=choose.randint(0, 1)),
            lambda: nn.BatchNorm1d(channels),
            lambda: nn.AdaptiveAvgPool1d(choose.randint(1, 3)),
            lambda: nn.MaxPool1d(2, ceil_mode=choose.random() < 0.5) if x.shape[2] > 1 else nn.Identity(),
            lambda: nn.GroupNorm(1, channels),
        ]
    if x.dim() == 4:
        channels = x.shape[1]
        layers += [
            lambda: nn.Conv2d(channels, width, min(3, *x.shape[2:]), padding=1, stride=choose.randint(1, 2)),
            lambda: nn.Conv2d(channels, 2 * channels, 1, groups=channels),
            lambda: nn.ConvTranspose2d(channels, width, 2, stride=choose.randint(1, 2)),
            lambda: nn.BatchNorm2d(channels),
            lambda: nn.AdaptiveMaxPool2d(choose.randint(1, 3)),
            lambda: (
                nn.AvgPool2d(2, ceil_mode=choose.random() < 0.5) if min(x.shape[2:]) > 1 else nn.Identity()
            ),
            lambda: nn.Upsample(scale_factor=2, mode=choose.choice(["nearest", "bilinear"])),
        ]
    return choose.choice(layers)().eval()
