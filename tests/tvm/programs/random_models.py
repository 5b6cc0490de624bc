# SPDX-License-Identifier: Apache-2.0
"""Random small models: types, ranks, operators, inputs and outputs, and names of real frameworks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar

import numpy as np
import tvm
from tvm import relay

FLOATS = ("float32", "float32", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "int32", "int64")
RARE = ("float16", "uint16", "uint32", "uint64")
TYPES = (*["float32"] * 9, *INTEGERS * 3, *["int8"] * 3, *["bool"] * 3, *["float64"] * 3, *RARE)

PLAIN = ("x", "y", "input", "input_1", "image", "data", "state", "b", "a", "z", "mask")
# Names of PyTorch, ONNX, TensorFlow, Keras and hand-written models. Many share a C identifier with another
# name.
ODD = (
    *(
        "x.1",
        "x_1",
        "x-1",
        "x 1",
        "x:1",
        "input.1",
        "input:0",
        "serving_default_input:0",
        "a b",
        "a_b",
        "a/b",
    ),
    *(
        "/z",
        "/a",
        "$1",
        "(x)",
        "[b]",
        "a%s",
        "z%d",
        "z: y",
        "a: b",
        "\u00e9",
        "\u00e0",
        "caf\u00e9",
        "x\u4e2d",
    ),
    *("0", "1", "12", "v0", "v1", "1st", "2nd", "vx", "output", "output0", "output1", "x1", "x2", "x_12"),
    *(
        "NULL",
        "EOF",
        "int",
        "const",
        "static",
        "double",
        "args",
        "dev_id",
        "stack_value",
        "p0",
        "T_add",
        "ret_val",
    ),
    *("linux", "true", "INFINITY", "M_PI", "exp", "a,b", "a;b", 'q"q', "b\\c", "{x}", "x'", "??/"),
)
OUTPUTS = (
    *("output", "output0", "output1", "output2", "probs", "boxes", "Identity", "Identity_1", "y", "x"),
    *(
        "StatefulPartitionedCall:0",
        "StatefulPartitionedCall:1",
        "a/b",
        "a b",
        "sum(x)",
        "\u00e9",
        "0",
        "y.1",
        "y_1",
    ),
)


T = TypeVar("T")
Shape = Tuple[int, ...]
Expression = Any  # of relay, which has no types
Entry = Tuple[Expression, Shape, str]  # expression, shape, type


@dataclass
class Model:
    """Relay module with the names and types of its inputs.

    Attributes:
        inputs: Shape and type by name, in order.
        opt_level: Argument of the build.
        name: Name of the module, an argument of the build.
    """

    mod: object
    inputs: Dict[str, Tuple[Shape, str]]
    text: str
    opt_level: int
    name: str

    def draw_inputs(self, draw: np.random.Generator) -> Dict[str, np.ndarray]:
        """Return random arrays for the inputs: small numbers of either sign."""
        return {name: numbers(draw, shape, dtype) for name, (shape, dtype) in self.inputs.items()}


def numbers(draw: np.random.Generator, shape: Shape, dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.asarray(draw.integers(0, 2, shape)).astype("bool")
    if dtype == "float16":  # small integers, which float16 represents exactly
        return np.asarray(draw.integers(-9, 10, shape)).astype(dtype)
    if dtype.startswith("float"):
        return np.asarray(draw.normal(size=shape)).astype(dtype)
    return np.asarray(draw.integers(0 if dtype.startswith("u") else -9, 10, shape)).astype(dtype)


class Builder:
    """Growing model: a pool of expressions, each with its inferred type."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.draw = draw
        self.pool: List[Entry] = []
        self.variables: List[Expression] = []

    def pick(self, *wanted: str) -> Optional[Entry]:
        """Return an expression of one of these types (default: any) from the pool, or None."""
        found = [entry for entry in self.pool if not wanted or entry[2] in wanted]
        return found[self.draw.integers(len(found))] if found else None

    def pick_any(self) -> Entry:
        """Return an expression of the pool, which contains at least the inputs."""
        entry = self.pick()
        assert entry is not None
        return entry

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self.draw.integers(len(options)))]

    def shape(self, least: int = 0, most: int = 4) -> Shape:
        ranks = [rank for rank in (0, 1, 1, 2, 2, 3, 3, 4, 5) if least <= rank <= most]
        return tuple(int(self.draw.integers(1, 5)) for _ in range(self.choice(ranks)))

    def add(self, expression: Expression) -> bool:
        """Add an expression to the pool. Return whether relay accepts it."""
        function = relay.Function(self.variables, expression)
        try:
            mod = relay.transform.InferType()(tvm.IRModule.from_expr(function))
        except tvm.TVMError:
            return False
        kind = mod["main"].ret_type
        if not isinstance(kind, relay.TensorType):
            return False
        shape = tuple(int(extent) if isinstance(extent, tvm.tir.IntImm) else -1 for extent in kind.shape)
        if min(shape, default=0) < 0 or np.prod(shape, dtype="int64") > 4096:
            return False
        self.pool.append((expression, shape, kind.dtype))
        return True

    def variable(self, name: str, shape: Shape, dtype: str) -> None:
        variable = relay.var(name, shape=shape, dtype=dtype)
        self.variables.append(variable)
        self.pool.append((variable, shape, dtype))

    def constant(self, shape: Shape, dtype: str) -> Expression:
        return relay.const(numbers(self.draw, shape, dtype))

    def grow(self) -> None:
        """Add one random operator, or nothing if it does not fit."""
        name = self.choice([name for name in dir(self) if name.startswith("op_")])
        expression = getattr(self, name)()
        if expression is not None:
            self.add(expression)

    # Each op_ function returns an expression over the pool, or None.

    def op_unary_float(self) -> Expression:
        entry = self.pick("float32", "float64")
        functions = (
            *(relay.tanh, relay.sigmoid, relay.exp, relay.abs, relay.negative, relay.floor, relay.ceil),
            *(
                relay.nn.relu,
                relay.sqrt,
                relay.erf,
                relay.sign,
                relay.round,
                relay.trunc,
                relay.sin,
                relay.cos,
            ),
        )
        if entry is None:
            return None
        function = self.choice(functions)
        return function(relay.abs(entry[0]) if function is relay.sqrt else entry[0])

    def op_unary_integer(self) -> Expression:
        entry = self.pick("int8", "int16", "int32", "int64", "uint8")
        return entry and self.choice((relay.abs, relay.nn.relu, relay.negative, relay.sign))(entry[0])

    def op_binary(self) -> Expression:
        left = self.pick()
        if left is None or left[2] == "bool":
            return None
        functions = [relay.add, relay.subtract, relay.multiply, relay.maximum, relay.minimum]
        right = self.pick(left[2]) if self.draw.integers(2) else None
        other = right[0] if right else self.constant(self.choice((left[1], left[1][-1:], ())), left[2])
        return self.choice(functions)(left[0], other)

    def op_compare(self) -> Expression:
        left = self.pick(*FLOATS, *INTEGERS)
        if left is None:
            return None
        right = self.pick(left[2])
        assert right is not None, "The pool contains at least `left`."
        return self.choice((relay.greater, relay.less, relay.equal, relay.less_equal))(left[0], right[0])

    def op_logical(self) -> Expression:
        left = self.pick("bool")
        if left is None:
            return None
        right = self.pick("bool")
        assert right is not None, "The pool contains at least `left`."
        return self.choice(
            (
                relay.logical_not(left[0]),
                relay.logical_and(left[0], right[0]),
                relay.logical_or(left[0], right[0]),
            )
        )

    def op_where(self) -> Expression:
        condition = self.pick("bool")
        left = self.pick(*FLOATS, *INTEGERS)
        return condition and left and relay.where(condition[0], left[0], relay.negative(left[0]))

    def op_cast(self) -> Expression:
        entry = self.pick_any()
        to = self.choice(TYPES)
        if entry[2].startswith("float") and to != "bool" and not to.startswith("float"):
            return relay.cast(relay.clip(entry[0], 0.0, 100.0), to)
        return relay.cast(entry[0], to)

    def op_reshape(self) -> Expression:
        entry = self.pick_any()
        size = int(np.prod(entry[1], dtype="int64"))
        divisors = [n for n in range(1, size + 1) if size and size % n == 0] or [1]
        n = self.choice(divisors)
        ways: Sequence[Callable[[], Expression]] = (
            lambda: relay.reshape(entry[0], (-1,)),
            lambda: relay.reshape(entry[0], (n, size // n)),
            lambda: relay.expand_dims(entry[0], axis=0),
            lambda: relay.squeeze(entry[0]),
            lambda: relay.nn.batch_flatten(entry[0]),
        )
        return self.choice(ways)()

    def op_transpose(self) -> Expression:
        entry = self.pick_any()
        if len(entry[1]) < 2:
            return None
        return relay.transpose(entry[0], [int(axis) for axis in self.draw.permutation(len(entry[1]))])

    def op_reduce(self) -> Expression:
        entry = self.pick(*FLOATS, "int32", "int64", "int8")
        if entry is None:
            return None
        axis = self.choice((None, *range(len(entry[1]))))
        functions = [relay.sum, relay.max, relay.min]
        functions += [relay.mean] if entry[2].startswith("float") else []
        return self.choice(functions)(entry[0], axis=axis, keepdims=bool(self.draw.integers(2)))

    def op_arg(self) -> Expression:
        entry = self.pick(*FLOATS, "int32", "int8")
        if entry is None or not entry[1]:
            return None
        axis = int(self.draw.integers(len(entry[1])))
        return self.choice((relay.argmax, relay.argmin))(entry[0], axis=axis)

    def op_concatenate(self) -> Expression:
        entry = self.pick_any()
        if not entry[1]:
            return None
        parts = [entry[0]] * int(self.draw.integers(1, 3))
        others = [other for other in self.pool if other[1] == entry[1] and other[2] == entry[2]]
        parts += [self.choice(others)[0] for _ in range(int(self.draw.integers(1, 4)))]
        return relay.concatenate(parts, axis=int(self.draw.integers(len(entry[1]))))

    def op_split(self) -> Expression:
        entry = self.pick_any()
        axes = [axis for axis, extent in enumerate(entry[1]) if extent in (2, 3, 4)]
        if not axes:
            return None
        axis = self.choice(axes)
        parts = relay.split(entry[0], entry[1][axis], axis=axis)
        return parts[int(self.draw.integers(entry[1][axis]))]

    def op_slice(self) -> Expression:
        entry = self.pick_any()
        if not entry[1] or min(entry[1]) == 0:
            return None
        begin = [int(self.draw.integers(extent)) for extent in entry[1]]
        end = [int(self.draw.integers(first + 1, extent + 1)) for first, extent in zip(begin, entry[1])]
        return relay.strided_slice(entry[0], begin, end)

    def op_pad(self) -> Expression:
        entry = self.pick(*FLOATS, "int8", "int32")
        if entry is None or not entry[1]:
            return None
        return relay.nn.pad(
            entry[0], [[int(self.draw.integers(2)), int(self.draw.integers(3))] for _ in entry[1]]
        )

    def op_take(self) -> Expression:
        entry = self.pick_any()
        if not entry[1] or entry[1][0] == 0:
            return None
        indices = relay.const(self.draw.integers(0, entry[1][0], (3,)).astype("int32"))
        return relay.take(entry[0], indices, axis=0)

    def op_dense(self) -> Expression:
        entry = self.pick("float32", "int8")
        if entry is None or not entry[1]:
            return None
        flat = relay.reshape(entry[0], (-1, entry[1][-1]))
        weight = self.constant((int(self.draw.integers(1, 7)), entry[1][-1]), entry[2])
        return relay.nn.dense(flat, weight, out_dtype="float32" if entry[2] == "float32" else "int32")

    def op_convolution(self) -> Expression:
        entry = self.pick("float32", "int8")
        if entry is None or len(entry[1]) != 4 or min(entry[1]) < 1:
            return None
        channels = int(self.draw.integers(1, 5))
        return relay.nn.conv2d(
            entry[0],
            self.constant((channels, entry[1][1], 3, 3), entry[2]),
            padding=(1, 1),
            channels=channels,
            kernel_size=(3, 3),
            out_dtype="float32" if entry[2] == "float32" else "int32",
        )

    def op_pool(self) -> Expression:
        entry = self.pick("float32")
        if entry is None or len(entry[1]) != 4 or min(entry[1][2:]) < 2:
            return None
        pool = self.choice((relay.nn.max_pool2d, relay.nn.avg_pool2d))
        return pool(entry[0], pool_size=(2, 2), strides=(1, 1))

    def op_softmax(self) -> Expression:
        entry = self.pick("float32")
        return entry and (relay.nn.softmax(entry[0]) if entry[1] else None)

    def op_matmul(self) -> Expression:
        entry = self.pick("float32")
        if entry is None or len(entry[1]) != 3:
            return None
        return relay.nn.batch_matmul(entry[0], entry[0])

    def op_clip(self) -> Expression:
        entry = self.pick(*FLOATS, "int32", "int8")
        return entry and relay.clip(entry[0], -2.0, 3.0)

    def op_sorted(self) -> Expression:
        entry = self.pick("float32")
        if entry is None or not entry[1] or self.draw.integers(6):
            return None
        return self.choice((relay.argsort(entry[0]), relay.topk(entry[0], k=1, ret_type="values")))

    def op_infinity(self) -> Expression:
        entry = self.pick("float32")
        if entry is None or self.draw.integers(4):
            return None
        condition = relay.greater(entry[0], relay.const(np.float32(0.3)))
        return relay.where(condition, entry[0], relay.full_like(entry[0], relay.const(np.float32("-inf"))))


def distinct_names(draw: np.random.Generator, count: int, odd: bool) -> List[str]:
    names: List[str] = []
    while len(names) < count:
        pool = ODD if odd and draw.integers(4) else PLAIN
        name = pool[int(draw.integers(len(pool)))]
        if name not in names:
            names.append(name)
    return names


def random_model(seed: int) -> Model:
    """Return the model of a seed. Outputs may be inputs, views, scalars, or one tensor twice."""
    draw = np.random.default_rng(seed)
    builder = Builder(draw)
    odd = bool(draw.integers(3))
    same = bool(draw.integers(2))  # inputs that differ only in their names
    shape, dtype = builder.shape(), builder.choice(TYPES)
    for name in distinct_names(draw, int(draw.integers(1, 5)), odd):
        if not same:
            shape, dtype = builder.shape(), builder.choice(TYPES)
            if not draw.integers(25):
                shape = (*shape, 0)
        builder.variable(name, shape, dtype)
    for _ in range(int(draw.integers(1, 9))):
        builder.grow()
    given = len(builder.variables)
    made = builder.pool[given:]
    outputs = []
    for _ in range(int(draw.integers(1, 5)) if draw.integers(2) else 1):
        entry = builder.choice(made) if made and draw.integers(12) else builder.choice(builder.pool)
        outputs.append(entry[0])
        if not draw.integers(8):
            outputs.append(builder.choice((entry[0], relay.reshape(entry[0], (-1,)))))
    # Models rarely have unused inputs. A subtraction of all inputs detects two that are swapped.
    alike = [entry for entry in builder.pool[:given] if entry[2] != "bool"]
    if same and len(alike) > 1:
        mixed = alike[0][0]
        for index, entry in enumerate(alike[1:]):
            scale = relay.const(np.asarray(index + 2).astype(entry[2]))
            mixed = relay.subtract(mixed, relay.multiply(entry[0], scale))
        outputs[0] = mixed
    body = outputs[0] if len(outputs) == 1 and draw.integers(8) else relay.Tuple(outputs)
    function = relay.Function(builder.variables, body)
    if not draw.integers(3):
        names = [OUTPUTS[int(draw.integers(len(OUTPUTS) if odd else 10))] for _ in outputs]
        function = function.with_attr("output_tensor_names", names)
    mod = tvm.IRModule.from_expr(function)
    inputs = {variable.name_hint: entry[1:] for variable, entry in zip(builder.variables, builder.pool)}
    opt_level = int(draw.integers(4)) if not draw.integers(3) else 3
    name = ("MyNet", "my-net", "9", "net_2", *["default"] * 8)[int(draw.integers(12))]
    return Model(mod, inputs, str(mod), opt_level, name)
