# SPDX-License-Identifier: Apache-2.0
"""Whole nets of PyTorch: name -> module and its inputs."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import torch
from torch import nn
from torch.nn import functional as F

from tests.compile.torch.operator_cases import integers, module, normal


class Cnn(nn.Module):
    """Convolutions with batch norm, ReLU6 and GELU, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.BatchNorm2d(8),
            nn.GELU(),
            nn.Conv2d(8, 12, 1),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classify = nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.softmax(self.classify(torch.flatten(self.features(x), 1)), dim=-1)


class LastOfSequence(nn.Module):
    """Recurrent net whose last step is classified: y[:, -1]."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.inner = kind(6, 10, batch_first=True, **options)
        self.classify = nn.Linear(10 * (2 if options.get("bidirectional") else 1), 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.inner(x)
        return self.classify(y[:, -1])


class Attention(nn.Module):
    """Residual self-attention and a feed-forward net, with a mean over the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.feed = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made, _ = self.attention(x, x, x, need_weights=False)
        x = self.norm(x + made)
        return (x + self.feed(x)).mean(1)


class Tcn(nn.Module):
    """Causal dilated convolutions with residuals."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 8, 3, dilation=1))
        self.second = nn.Conv1d(8, 8, 3, dilation=2)
        self.third = nn.Conv1d(8, 8, 3, dilation=4)
        self.classify = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(F.pad(x, (2, 0))))
        x = x + F.relu(self.second(F.pad(x, (4, 0))))
        x = x + F.leaky_relu(self.third(F.pad(x, (8, 0))), 0.1)
        return self.classify(x[:, :, -1])


class UNet(nn.Module):
    """Encoder and decoder with a skip connection, a transposed convolution and resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.join = nn.Conv2d(8, 2, 3, padding=1)
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.groups = nn.GroupNorm(2, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shallow = F.silu(self.norm(self.down(x)))
        deep = F.mish(self.groups(self.deep(shallow)))
        joined = self.join(torch.cat([shallow, self.up(deep)], 1))
        return torch.sigmoid(F.interpolate(joined, scale_factor=2, mode="bilinear", align_corners=False))


class Transformer(nn.Module):
    """Token embedding, positions, a causal encoder and logits of the last token."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, 8)
        self.positions = nn.Parameter(torch.zeros(6, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.logits = nn.Linear(8, 20)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.logits(self.encoder(x, mask=mask, is_causal=True)[:, -1])


class Step(nn.Module):
    """One step of a recurrent net: the state is an input and an output."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 5)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> Dict[str, torch.Tensor]:
        state = self.cell(x, state)
        return {"state": state, "best": state.argmax(-1)}


Net = Tuple[nn.Module, Tuple[torch.Tensor, ...]]


def all_nets() -> Dict[str, Net]:
    """Return all nets."""
    sequence = normal(1, 7, 6)
    return {
        "cnn": (module(Cnn), (normal(1, 1, 12, 12),)),
        "gru": (module(lambda: LastOfSequence(nn.GRU)), (sequence,)),
        "gru_deep": (module(lambda: LastOfSequence(nn.GRU, num_layers=2, bidirectional=True)), (sequence,)),
        "lstm": (module(lambda: LastOfSequence(nn.LSTM)), (sequence,)),
        "rnn": (module(lambda: LastOfSequence(nn.RNN)), (sequence,)),
        "attention": (module(Attention), (normal(1, 5, 8),)),
        "tcn": (module(Tcn), (normal(1, 4, 16),)),
        "unet": (module(UNet), (normal(1, 2, 8, 8),)),
        "transformer": (module(Transformer), (integers(0, 20, 1, 6),)),
        "step": (module(Step), (normal(1, 3), normal(1, 5))),
    }
