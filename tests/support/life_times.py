# SPDX-License-Identifier: Apache-2.0
"""Random nets as tables of life times: the buffers of an arena, as the compiler describes them."""

from __future__ import annotations

import random
from typing import Callable, Dict, Final, List, Optional, Sequence, Tuple

from runtime.host.compile.memory_plan import Buffer


class Net:
    """A net that grows by one kernel a step.

    A tensor is named by its number; number -1 is the input of the model, which is not in the arena.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._sizes: List[int] = []
        self._steps: List[Tuple[List[int], int, int, bool]] = []  # inputs, output, scratch bytes, in place

    def kernel(
        self, inputs: Sequence[int], size_bytes: int, *, in_place: bool = False, scratch_bytes: int = 0
    ) -> int:
        """Add a kernel, and return the number of its output."""
        self._sizes.append(max(1, size_bytes))
        self._steps.append((list(inputs), len(self._sizes) - 1, scratch_bytes, in_place))
        return len(self._sizes) - 1

    def convolution(self, tensor: int, size_bytes: int) -> int:
        """Add a kernel that cannot work in place, and that often needs scratch memory."""
        scratch = size_bytes // self.rng.choice([2, 4, 9]) if self.rng.random() < 0.3 else 0
        return self.kernel([tensor], size_bytes, scratch_bytes=scratch)

    def add(self, left: int, right: int) -> int:
        """Add an elementwise kernel, which may write over either input."""
        return self.kernel([left, right], self._sizes[left], in_place=True)

    def concat(self, tensors: Sequence[int]) -> int:
        """Add a kernel that copies its inputs into one tensor."""
        return self.kernel(tensors, sum(self._sizes[tensor] for tensor in tensors))

    def size(self, tensor: int) -> int:
        """Return the size of a tensor in bytes."""
        return self._sizes[tensor]

    def buffers(self) -> List[Buffer]:
        """Return the buffers of all kernels; the output of the last one is not in the arena."""
        last: Dict[int, int] = {}
        for step, (inputs, output, _, _) in enumerate(self._steps):
            for tensor in (*inputs, output):
                last[tensor] = step
        found: List[Buffer] = []
        for step, (inputs, output, scratch, in_place) in enumerate(self._steps):
            reuses: Optional[str] = None
            for tensor in inputs:
                fits = in_place and tensor >= 0 and last[tensor] == step and inputs.count(tensor) == 1
                if fits and self._sizes[output] <= self._sizes[tensor]:
                    reuses = f"t{tensor}"
                    break
            if step < len(self._steps) - 1:
                found.append(Buffer(f"t{output}", self._sizes[output], step, last[output], reuses))
            if scratch:
                found.append(Buffer(f"scratch{step}", scratch, step, step))
        return found


def resnet(net: Net) -> None:
    """Add stages of residual blocks, each with half of the height and width and more channels."""
    side, channels = net.rng.choice([16, 24, 32, 48]), net.rng.choice([8, 12, 16])
    tensor = net.convolution(-1, side * side * channels)
    for stage in range(net.rng.randint(2, 4)):
        for block in range(net.rng.randint(1, 3)):
            shortcut = tensor
            if stage and not block:
                side, channels = max(1, side // 2), channels * 2
                shortcut = net.convolution(tensor, side * side * channels)
            inner = net.convolution(tensor, side * side * channels)
            inner = net.convolution(inner, side * side * channels)
            tensor = net.add(inner, shortcut)
    net.kernel([tensor], channels)


def unet(net: Net) -> None:
    """Add a way down that keeps a tensor of each level, and a way up that concatenates the tensors."""
    side, channels = net.rng.choice([16, 32, 48, 64]), net.rng.choice([4, 6, 8])
    tensor, kept = -1, []
    depth = net.rng.randint(2, 4)
    for _ in range(depth):
        for _ in range(net.rng.randint(1, 2)):
            tensor = net.convolution(tensor, side * side * channels)
        kept.append((tensor, side, channels))
        side, channels = side // 2, int(channels * net.rng.choice([1.5, 2]))
        tensor = net.kernel([tensor], side * side * channels)
    tensor = net.convolution(tensor, side * side * channels)
    for skip, side, channels in reversed(kept):
        tensor = net.concat([net.kernel([tensor], side * side * channels), skip])
        for _ in range(net.rng.randint(1, 2)):
            tensor = net.convolution(tensor, side * side * channels)
    net.kernel([tensor], net.size(tensor) // 2)


def inverted_residuals(net: Net) -> None:
    """Add blocks that widen, filter and narrow a tensor, with a shortcut around most of them."""
    side, channels = net.rng.choice([24, 28, 48, 56]), net.rng.choice([8, 12, 16])
    tensor = net.convolution(-1, side * side * channels)
    for _ in range(net.rng.randint(4, 14)):
        before, factor = tensor, net.rng.choice([1, 3, 4, 6])
        stride = net.rng.choice([1, 1, 1, 2]) if side > 6 else 1
        wide = net.convolution(tensor, side * side * channels * factor)
        side //= stride
        narrow = channels if stride == 1 else int(channels * net.rng.choice([1, 1.5, 2]))
        wide = net.convolution(wide, side * side * channels * factor)
        if net.rng.random() < 0.4:  # squeeze and excitation
            gate = net.kernel([wide], channels * factor)
            gate = net.kernel([net.kernel([gate], max(1, channels // 4))], channels * factor)
            wide = net.kernel([wide, gate], side * side * channels * factor, in_place=True)
        tensor = net.convolution(wide, side * side * narrow)
        if stride == 1:
            tensor = net.add(before, tensor)
        channels = narrow
    net.kernel([tensor], 40)


def concat_chain(net: Net) -> None:
    """Add dense blocks: the input of each layer is the concatenation of all results of the block."""
    side, channels = net.rng.choice([16, 28, 32]), net.rng.choice([8, 16, 24])
    tensor = net.convolution(-1, side * side * channels)
    growth = net.rng.choice([4, 8, 12])
    for _ in range(net.rng.randint(1, 3)):
        results = [tensor]
        for _ in range(net.rng.randint(2, 7)):
            joined = net.concat(results) if len(results) > 1 else tensor
            joined = net.kernel([joined], net.size(joined), in_place=len(results) > 1)
            results.append(net.convolution(joined, side * side * growth))
        joined = net.concat(results)
        side = max(2, side // 2)
        tensor = net.kernel([joined], max(1, net.size(joined) // 8))
    net.kernel([tensor], 10)


def inception(net: Net) -> None:
    """Add modules with parallel branches of several depths, computed one after the other."""
    side, channels = net.rng.choice([14, 20, 28]), net.rng.choice([16, 32, 48])
    tensor = net.convolution(-1, side * side * channels)
    for _ in range(net.rng.randint(2, 6)):
        branches = []
        for _ in range(net.rng.randint(2, 4)):
            branch = tensor
            for _ in range(net.rng.randint(1, 3)):
                branch = net.convolution(branch, side * side * net.rng.choice([4, 8, 12, 16, 24, 32]))
            branches.append(branch)
        tensor = net.concat(branches)
        if net.rng.random() < 0.4 and side > 4:
            side //= 2
            tensor = net.kernel([tensor], max(1, net.size(tensor) // 4))
    net.kernel([tensor], 10)


def attention(net: Net) -> None:
    """Add transformer blocks: projections, scores of all heads, soft-max in place, feed-forward layers."""
    tokens, width = net.rng.choice([16, 32, 49, 64]), net.rng.choice([32, 48, 64, 96])
    heads, factor = net.rng.choice([1, 2, 4]), net.rng.choice([2, 4])
    tensor = net.kernel([-1], tokens * width)
    for _ in range(net.rng.randint(1, 5)):
        normal = net.kernel([tensor], tokens * width)
        query, key, value = (net.kernel([normal], tokens * width) for _ in range(3))
        key = net.kernel([key], tokens * width)
        scores = net.kernel([query, key], heads * tokens * tokens)
        sums = net.kernel([scores], heads * tokens)
        scores = net.kernel([scores, sums], heads * tokens * tokens, in_place=True)
        mixed = net.kernel([net.kernel([scores, value], tokens * width)], tokens * width)
        tensor = net.add(tensor, mixed)
        normal = net.kernel([tensor], tokens * width)
        hidden = net.kernel([normal], tokens * width * factor)
        hidden = net.kernel([hidden], tokens * width * factor, in_place=True)
        tensor = net.add(tensor, net.kernel([hidden], tokens * width))
    net.kernel([tensor], 10)


def random_cells(net: Net) -> None:
    """Add cells of an architecture search: kernels that read one or two of the last tensors."""
    base = net.rng.choice([256, 1024, 4096])
    made = [net.convolution(-1, base * net.rng.randint(1, 8))]
    for _ in range(net.rng.randint(10, 50)):
        inputs = sorted(set(net.rng.choices(made[-6:], k=net.rng.choice([1, 1, 2]))))
        in_place = net.rng.random() < 0.4
        size = net.size(inputs[0]) if in_place else base * net.rng.randint(1, 8)
        made.append(net.kernel(inputs, size, in_place=in_place))
    net.kernel([made[-1]], 10)


FAMILIES: Final[Dict[str, Callable[[Net], None]]] = {
    "resnet": resnet,
    "unet": unet,
    "inverted_residuals": inverted_residuals,
    "concat_chain": concat_chain,
    "inception": inception,
    "attention": attention,
    "random_cells": random_cells,
}


def random_net(family: str, seed: int) -> List[Buffer]:
    """Return the buffers of a random net of a family."""
    net = Net(random.Random(f"{family}{seed}"))
    FAMILIES[family](net)
    return net.buffers()
