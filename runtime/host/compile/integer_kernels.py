# SPDX-License-Identifier: Apache-2.0
"""Kernels of the operators of our domain (integers/operators.py) as tensor expressions of TVM.

Each kernel is a padding, a sum and its rescaling in one function, so that a schedule stores only the result.
Of TVM only tensor expressions are used, which are the same in all tested releases (packages.py).
"""

from __future__ import annotations

from math import prod
from typing import Any, Callable, Dict, Final, List, Mapping, Sequence, Tuple

from tvm import te, tirx, topi

from runtime.host.compile.integers import operators
from runtime.host.compile.onnx_rewrite.inference import own_output_of

LARGEST_QUOTIENT: Final = 512  # even, and more than that of any 8-bit numbers

Attributes = Mapping[str, Any]
Kernel = Callable[..., Any]


def _integer(number: int, dtype: str = "int32") -> Any:
    return tirx.const(int(number), dtype)


def _limited(value: Any, attributes: Attributes) -> Any:
    """Return an int32 within the limits of the result, in its type."""
    dtype, _ = own_output_of(attributes)
    lowest, highest = (_integer(attributes[name]) for name in ("lowest", "highest"))
    return te.max(te.min(value, highest), lowest).astype(str(dtype))


def rescaled(total: Any, bias: Any, multiplier: Any, attributes: Attributes) -> Any:
    """Return a sum of int32 in the scale of the result, by FixedPoint of integers/fixed_point.py."""
    form = attributes["form"]
    if attributes.get("before", 0):
        total = total * _integer(1 << attributes["before"])  # C has no shift of a negative number to the left
    if bias is not None:
        total = total + bias
    if form in (operators.EVEN, operators.AWAY):
        return _limited(_divided(total, multiplier, attributes), attributes)
    if form == operators.FLOAT:
        return total.astype("float32") * multiplier
    shift, offset = int(attributes["shift"]), int(attributes["offset"])
    if form == operators.NARROW:
        return _limited((total * multiplier + _integer(offset)) >> _integer(shift), attributes)
    # TVM would widen both terms of a sum, and add them in 64 bits: two multiplications more on a Cortex-M.
    product = (total | _integer(0)).astype("int64") * multiplier.astype("int64")
    if form == operators.HIGH:
        high = (product >> _integer(32, "int64")).astype("int32")
        return _limited((high + _integer(offset)) >> _integer(shift), attributes)
    wide = (product + _integer(offset, "int64")) >> _integer(shift, "int64")
    # Far outside of the limits the lower word alone has another value.
    bounded = te.max(te.min(wide, _integer(1 << 20, "int64")), _integer(-(1 << 20), "int64"))
    return _limited(bounded.astype("int32"), attributes)


def _divided(total: Any, divisor: Any, attributes: Attributes) -> Any:
    """Return the quotient of integers, rounded."""
    half = tirx.truncdiv(divisor, _integer(2))
    if attributes["form"] == operators.AWAY:
        return tirx.truncdiv(total + tirx.Select(total > 0, half, -half), divisor)
    # A quotient that is not negative rounds the same way everywhere.
    doubled = total * _integer(2) + divisor * _integer(2 * LARGEST_QUOTIENT + 1)
    quotient = tirx.truncdiv(doubled, divisor * _integer(2))
    is_tie = tirx.all(doubled == quotient * divisor * _integer(2), (quotient & _integer(1)) == 1)
    rounded = quotient - tirx.Select(is_tie, _integer(1), _integer(0))
    return rounded + _integer(attributes["zero_point"] - LARGEST_QUOTIENT)


def _at(tensor: Any, *indices: Any) -> Any:
    return tensor[indices]


def _of_channel(multipliers: Any, channel: Any) -> Any:
    return multipliers[channel if int(multipliers.shape[0]) > 1 else 0]


def _windows(extents: Sequence[int], names: str = "yxz") -> Tuple[List[Any], Callable[..., List[Any]]]:
    """Return reduction axes for the extents above 1, and a function that returns an index for each extent."""
    axes = [
        te.reduce_axis((0, extent), f"r{at}") if extent > 1 else None for at, extent in enumerate(extents)
    ]

    def indices() -> List[Any]:
        return [0 if axis is None else axis for axis in axes]

    return [axis for axis in axes if axis is not None], indices


def _summed(term: Any, axes: Sequence[Any]) -> Any:
    return te.sum(term, axis=list(axes)) if axes else term


def _convolved(x: Any, weights: Any, bias: Any, multipliers: Any, attributes: Attributes) -> Any:
    """Return the convolution of a padded tensor."""
    _, shape = own_output_of(attributes)
    made, taken, *window = map(int, weights.shape)
    strides, steps = attributes["strides"], attributes["dilations"]
    per_group = made // int(attributes["group"])
    axes, indices = _windows([taken, *window])

    def term(batch: Any, channel: Any, *at: Any) -> Any:
        tap, *taps = indices()
        if attributes["group"] == 1:
            source = tap
        elif taken == 1 and per_group == 1:
            source = channel
        else:
            source = (channel // per_group) * taken + tap
        places = [
            position * stride + offset * step
            for position, stride, offset, step in zip(at, strides, taps, steps)
        ]
        loaded = _at(x, batch, source, *places).astype("int32") * _at(weights, channel, tap, *taps).astype(
            "int32"
        )
        return _summed(loaded, axes)

    total = te.compute(tuple(shape), term, name="sum")
    return te.compute(
        tuple(shape),
        lambda batch, channel, *at: rescaled(
            _at(total, batch, channel, *at), bias[channel], _of_channel(multipliers, channel), attributes
        ),
        name="rescaled",
    )


def _padded(x: Any, pads: Sequence[int], zero_point: int) -> Any:
    rank = len(pads) // 2
    if not any(pads):
        return x
    return topi.nn.pad(
        x,
        [0, 0, *pads[:rank]],
        [0, 0, *pads[rank:]],
        pad_value=tirx.const(zero_point, x.dtype),
        name="pad_temp",
    )


def _conv(x: Any, weights: Any, bias: Any, multipliers: Any, attributes: Attributes) -> Any:
    padded = _padded(x, attributes["pads"], attributes["zero_point"])
    return _convolved(padded, weights, bias, multipliers, attributes)


def _conv_transpose(x: Any, weights: Any, bias: Any, multipliers: Any, attributes: Attributes) -> Any:
    strides, zero_point = attributes["strides"], attributes["zero_point"]
    if any(stride > 1 for stride in strides):
        padded = _spread(x, strides, attributes["pads"], zero_point)
    else:
        padded = _padded(x, attributes["pads"], zero_point)
    return _convolved(padded, weights, bias, multipliers, {**attributes, "strides": [1] * len(strides)})


def _spread(x: Any, strides: Sequence[int], pads: Sequence[int], zero_point: int) -> Any:
    """Return a tensor with zero points between its elements and around them.

    It is one buffer: TVM may give the storage of a second one to the sums, whose type is another.
    """
    rank = len(strides)
    before, after = pads[:rank], pads[rank:]
    inner = [int(extent) for extent in x.shape[2:]]
    shape = [
        (extent - 1) * stride + 1 + first + last
        for extent, stride, first, last in zip(inner, strides, before, after)
    ]

    def element(batch: Any, channel: Any, *at: Any) -> Any:
        conditions, places = [], []
        for index, extent, stride, first in zip(at, inner, strides, before):
            skipped = -(-first // stride)  # a dividend that is not negative needs no correction
            moved = index + (skipped * stride - first)
            place = tirx.indexdiv(moved, stride) - skipped if stride > 1 else moved - skipped
            conditions += [place >= 0, place < extent]
            if stride > 1:
                conditions.append(tirx.indexmod(moved, stride) == 0)
            places.append(place)
        return tirx.if_then_else(
            tirx.all(*conditions), _at(x, batch, channel, *places), tirx.const(zero_point, x.dtype)
        )

    return te.compute((*x.shape[:2], *shape), element, name="pad_between")


def _dense(x: Any, weights: Any, bias: Any, multipliers: Any, attributes: Attributes) -> Any:
    rows, columns = int(x.shape[0]), int(weights.shape[0])
    axes, indices = _windows([int(x.shape[1])])

    def term(row: Any, column: Any) -> Any:
        (at,) = indices()
        return _summed(x[row, at].astype("int32") * weights[column, at].astype("int32"), axes)

    total = te.compute((rows, columns), term, name="sum")
    return te.compute(
        (rows, columns),
        lambda row, column: rescaled(
            total[row, column], bias[column], _of_channel(multipliers, column), attributes
        ),
        name="rescaled",
    )


def _matmul(x: Any, y: Any, multipliers: Any, attributes: Attributes) -> Any:
    _, shape = own_output_of(attributes)
    zeros = attributes["zero_points"]
    axes, indices = _windows([int(x.shape[-1])])

    def term(*at: Any) -> Any:
        (depth,) = indices()
        *batch, row, column = at
        one = _at(x, *_broadcast(x, batch), row, depth).astype("int32") - zeros[0]
        other = _at(y, *_broadcast(y, batch), depth, column).astype("int32") - zeros[1]
        return _summed(one * other, axes)

    total = te.compute(tuple(shape), term, name="sum")
    return te.compute(
        tuple(shape), lambda *at: rescaled(total[at], None, multipliers[0], attributes), name="rescaled"
    )


def _broadcast(x: Any, batch: Sequence[Any]) -> List[Any]:
    """Return indices of the batch axes of a matrix product's operand."""
    extents = [int(extent) for extent in x.shape[: len(x.shape) - 2]]
    used = batch[len(batch) - len(extents) :]
    return [0 if extent == 1 else at for extent, at in zip(extents, used)]


def _element(x: Any, at: Sequence[Any]) -> Any:
    """Return the element of a broadcast operand as int32."""
    extents = [int(extent) for extent in x.shape]
    used = at[len(at) - len(extents) :]
    return x[tuple(0 if extent == 1 else index for extent, index in zip(extents, used))].astype("int32")


def _sum(x: Any, y: Any, attributes: Attributes) -> Any:
    _, shape = own_output_of(attributes)
    one, other = map(_integer, attributes["factors"])

    def term(*at: Any) -> Any:
        total = _element(x, at) * one + _element(y, at) * other + _integer(attributes["offset"])
        return _limited(total >> _integer(attributes["shift"]), attributes)

    return te.compute(tuple(shape), term, name="sum")


def _product(x: Any, y: Any, multipliers: Any, attributes: Attributes) -> Any:
    _, shape = own_output_of(attributes)
    one, other = attributes["zero_points"]

    def term(*at: Any) -> Any:
        return rescaled(
            (_element(x, at) - _integer(one)) * (_element(y, at) - _integer(other)),
            None,
            multipliers[0],
            attributes,
        )

    return te.compute(tuple(shape), term, name="product")


def _reduce(x: Any, multipliers: Any, attributes: Attributes) -> Any:
    _, shape = own_output_of(attributes)
    extents = [int(extent) for extent in x.shape]
    reduced = list(attributes["axes"])
    axes, indices = _windows([extents[axis] for axis in reduced])

    def term(*at: Any) -> Any:
        place = list(at)
        for axis, index in zip(reduced, indices()):
            place[axis] = index
        return _summed(x[tuple(place)].astype("int32"), axes)

    total = te.compute(tuple(shape), term, name="sum")
    bias = _integer(attributes["bias"])
    return te.compute(
        tuple(shape), lambda *at: rescaled(total[at], bias, multipliers[0], attributes), name="rescaled"
    )


def _pool(x: Any, multipliers: Any, attributes: Attributes) -> Any:
    _, shape = own_output_of(attributes)
    x = _padded(x, attributes["pads"], attributes["padding"])
    window = list(attributes["kernel_shape"])
    axes, indices = _windows(window)

    def term(batch: Any, channel: Any, *at: Any) -> Any:
        places = [
            position * stride + tap * step
            for position, stride, tap, step in zip(
                at, attributes["strides"], indices(), attributes["dilations"]
            )
        ]
        return _summed(_at(x, batch, channel, *places).astype("int32"), axes)

    total = te.compute(tuple(shape), term, name="sum")
    bias = _integer(attributes["bias"])

    def result(batch: Any, channel: Any, *at: Any) -> Any:
        multiplier = multipliers[at] if prod(map(int, multipliers.shape)) > 1 else multipliers[0]
        return rescaled(_at(total, batch, channel, *at), bias, multiplier, attributes)

    return te.compute(tuple(shape), result, name="rescaled")


def _resize(x: Any, multipliers: Any, *operands: Any) -> Any:
    *taps, attributes = operands
    _, shape = own_output_of(attributes)
    resized = list(attributes["axes"])
    places, weights = taps[::2], taps[1::2]
    axes, indices = _windows([int(place.shape[1]) for place in places])

    def term(*at: Any) -> Any:
        source, weight = list(at), None
        for axis, tap, place, part in zip(resized, indices(), places, weights):
            source[axis] = place[at[axis], tap]
            weight = part[at[axis], tap] if weight is None else weight * part[at[axis], tap]
        return _summed(x[tuple(source)].astype("int32") * weight, axes)

    total = te.compute(tuple(shape), term, name="sum")
    bias = _integer(attributes["bias"])
    return te.compute(
        tuple(shape), lambda *at: rescaled(total[at], bias, multipliers[0], attributes), name="rescaled"
    )


def _table(x: Any, table: Any, attributes: Attributes) -> Any:
    first = _integer(attributes["first"])
    return te.compute(x.shape, lambda *at: table[x[at].astype("int32") + first], name="table")


def _softmax(x: Any, table: Any, attributes: Attributes) -> Any:
    axis = int(attributes["axis"])
    extents = [int(extent) for extent in x.shape]
    outer = tuple(extent for at, extent in enumerate(extents) if at != axis)
    count = extents[axis]
    largest_at, summed_at = (te.reduce_axis((0, count), name) for name in ("k", "s"))

    def place(outside: Sequence[Any], index: Any) -> Tuple[Any, ...]:
        return (*outside[:axis], index, *outside[axis:])

    largest = te.compute(
        outer, lambda *at: te.max(x[place(at, largest_at)].astype("int32"), axis=largest_at), name="largest"
    )

    def exponential(at: Sequence[Any], index: Any) -> Any:
        return table[largest[tuple(at)] - x[place(at, index)].astype("int32")]

    total = te.compute(outer, lambda *at: te.sum(exponential(at, summed_at), axis=summed_at), name="sum")
    factor, shift = tirx.const(attributes["factor"], "uint32"), tirx.const(attributes["shift"], "uint32")
    one = tirx.const(1, "uint32")

    def result(*at: Any) -> Any:
        outside = (*at[:axis], *at[axis + 1 :])
        whole = total[outside] << shift
        share = tirx.truncdiv(exponential(outside, at[axis]) * factor + (whole >> one), whole)
        return _limited(share.astype("int32") + _integer(attributes["zero_point"]), attributes)

    return te.compute(tuple(extents), result, name="share")


KERNELS: Final[Dict[str, Kernel]] = {
    operators.CONV: _conv,
    operators.CONV_TRANSPOSE: _conv_transpose,
    operators.DENSE: _dense,
    operators.MATMUL: _matmul,
    operators.POOL: _pool,
    operators.PRODUCT: _product,
    operators.REDUCE: _reduce,
    operators.RESIZE: _resize,
    operators.SOFTMAX: _softmax,
    operators.SUM: _sum,
    operators.TABLE: _table,
}
"""Operator -> function from its inputs, and its attributes at the end, to its output."""
