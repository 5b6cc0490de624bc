# SPDX-License-Identifier: Apache-2.0
"""Random small networks of a seed."""

from __future__ import annotations

from typing import List

import numpy as np

from tests.compile.tflite.networks import Network

DTYPES = ("float32", "int8", "uint8")
LARGEST_EXTENT = 14


def random_network(seed: int) -> bytes:
    """Return the file of a random network: layers of images, and then a head of a classifier."""
    random = np.random.default_rng(seed)
    net = Network(DTYPES[seed % len(DTYPES)], seed)
    extents = random.integers(4, 12, 2).tolist()
    x = net.tensor((int(random.integers(1, 3)), *extents, int(random.integers(1, 5))))
    images: List[int] = [x]
    for _ in range(int(random.integers(2, 6))):
        images.append(_layer(net, random, images))
    y = images[-1]
    outputs = [images[int(random.integers(1, len(images)))]] if random.random() < 0.3 else []
    head = random.integers(3)
    if head == 0:
        y = net.dense(net.flatten(y), int(random.integers(2, 6)))
    elif head == 1:
        y = net.dense(net.mean(y), int(random.integers(2, 6)))
    return net.builder.finish([x], [y, *(output for output in outputs if output != y)])


def _layer(net: Network, random: np.random.Generator, images: List[int]) -> int:
    x = images[int(random.integers(max(0, len(images) - 2), len(images)))]
    same = [image for image in images if net.shape(image) == net.shape(x)]
    joined = [image for image in images if net.shape(image)[:3] == net.shape(x)[:3]]
    _, height, width, _ = net.shape(x)
    kinds = ["convolution", "depthwise", "add", "concatenation", "transpose", "slice", "clip"]
    kinds += ["pool", "mean pool"] if min(height, width) >= 2 else []
    kinds += ["pad", "resize"] if max(height, width) <= LARGEST_EXTENT else []
    kind = random.choice(kinds)
    if kind == "convolution":
        return net.convolution(x, int(random.integers(1, 6)), *random.integers(1, 3, 2).tolist())
    if kind == "depthwise":
        return net.depthwise(x)
    if kind == "add":
        return net.add(x, same[int(random.integers(len(same)))])
    if kind == "concatenation":
        return net.concatenation(x, joined[int(random.integers(len(joined)))])
    if kind in ("pool", "mean pool"):
        return net.pool(x, "MAX_POOL_2D" if kind == "pool" else "AVERAGE_POOL_2D")
    if kind == "pad":
        return net.pad(x)
    return _movement(net, random, kind, x)


def _movement(net: Network, random: np.random.Generator, kind: str, x: int) -> int:
    batch, height, width, channels = net.shape(x)
    if kind == "transpose":
        perm = [[0, 2, 1, 3], [0, 3, 1, 2], [0, 1, 3, 2], [0, 3, 2, 1]][int(random.integers(4))]
        shape = [net.shape(x)[axis] for axis in perm]
        return net.layer("TRANSPOSE", [x, net.builder.constant(perm)], shape)
    if kind == "slice":
        begin = [0, *(int(random.integers(extent)) for extent in (height, width, channels))]
        sizes = [batch, *(extent - start for extent, start in zip((height, width, channels), begin[1:]))]
        return net.layer("SLICE", [x, net.builder.constant(begin), net.builder.constant(sizes)], sizes)
    if kind == "resize":
        size = [height * 2, width * 2]
        op, options = ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")
        return net.layer(op, [x, net.builder.constant(size)], (batch, *size, channels), options)
    return net.layer("RELU", [x], net.shape(x))
