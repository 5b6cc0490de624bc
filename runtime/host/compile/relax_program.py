# SPDX-License-Identifier: Apache-2.0
"""Reader of a lowered Relax module: its main function as a Program.

The names of Relax's classes changed in each release from 0.25 to 0.27, so that this module compares names of
classes where a release lacks one: struct_info became ty, relax.Constant became ir.GenericConst.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, Optional, Sequence, Tuple, Union

import numpy as np
from tvm import relax

from runtime.host.compile.errors import ModelError
from runtime.host.compile.onnx_model import Value
from runtime.host.compile.program import Call, Program, Shape, Tensor

VIEWS: Final = ("relax.reshape", "relax.memory.view", "relax.expand_dims", "relax.squeeze", "relax.flatten")
CONSTANTS: Final = ("Constant", "GenericConst")
NEXT: Final = "Remove the operator from the model, or replace it."

Operand = Union[Tensor, List[Any]]


def read_program(module: Any) -> Program:
    """Return the program of a module whose main function calls kernels only.

    Args:
        module: Lowered tvm.IRModule.

    Raises:
        ModelError: The main function has a shape that is known only at run time, or a call of another kind.
    """
    return _Reader().read(module["main"])


def signature_of_main(module: Any) -> Tuple[List[Value], List[Value]]:
    """Return the inputs and outputs of the main function of a Relax module.

    Raises:
        ModelError: A shape is known only at run time.
    """
    main = module["main"]
    inputs = [_described(parameter.name_hint, *tensor_type(parameter)) for parameter in main.params]
    result = getattr(main, "ret_struct_info", None) or main.ret_ty
    fields = list(getattr(result, "fields", [result]))
    names = ["output"] if len(fields) == 1 else [f"output{index}" for index in range(len(fields))]
    return inputs, [_described(name, *_shape_and_dtype(kind)) for name, kind in zip(names, fields)]


def _described(name: str, shape: Shape, dtype: str) -> Value:
    return Value(name, dtype, shape)


class _Reader:
    def __init__(self) -> None:
        self._values: Dict[Any, Operand] = {}
        self._calls: List[Call] = []
        self._constants: Dict[Tuple[bytes, str, Shape], Tensor] = {}

    def read(self, main: Any) -> Program:
        inputs = []
        for index, parameter in enumerate(main.params):
            shape, dtype = tensor_type(parameter)
            self._values[parameter] = tensor = Tensor(f"in{index}", shape, dtype)
            inputs.append(tensor)
        for block in main.body.blocks:
            for binding in block.bindings:
                self._values[binding.var] = self._value(binding.value)
        result = self._value(main.body.body)
        outputs = _flat(result)
        return Program(inputs, outputs, self._calls, list(self._constants.values()))

    def _value(self, expression: Any) -> Operand:
        if type(expression).__name__ in CONSTANTS:
            return self._constant(expression)
        if isinstance(expression, relax.Tuple):
            return [self._value(entry) for entry in expression.fields]
        if isinstance(expression, relax.TupleGetItem):
            entries = self._value(expression.tuple_value)
            assert isinstance(entries, list)
            found: Operand = entries[expression.index]
            return found
        if isinstance(expression, relax.Call):
            return self._call(expression)
        if expression in self._values:
            return self._values[expression]
        raise ModelError(f"TVM lowered the model to an unknown {type(expression).__name__}.", NEXT)

    def _constant(self, expression: Any) -> Tensor:
        array = np.ascontiguousarray(constant_of(expression))
        key = (array.tobytes(), str(array.dtype), array.shape)
        if key not in self._constants:
            name = f"constant{len(self._constants)}"
            self._constants[key] = Tensor(name, array.shape, str(array.dtype), array)
        return self._constants[key]

    def _call(self, call: Any) -> Operand:
        name = getattr(call.op, "name", None)
        if name == "relax.call_tir":
            return self._kernel(call)
        if name in VIEWS:
            source = self._value(call.args[0])
            shape, dtype = tensor_type(call)
            if isinstance(source, Tensor) and dtype == source.dtype:
                return Tensor(f"view{len(self._values)}", shape, dtype, view_of=source)
        raise ModelError(
            f"TVM leaves {name or call.op} to its own runtime, which a board does not have.", NEXT
        )

    def _kernel(self, call: Any) -> Operand:
        if len(call.args) > 2:
            raise ModelError(
                "A kernel has a shape that is known only at run time.",
                "Give the shapes of the inputs with --input-shape.",
            )
        inputs = _flat(self._value(call.args[1]))
        types = (getattr(call, "sinfo_args", None) or call.ty_args)[0]
        is_tuple = type(types).__name__ in ("TupleStructInfo", "TupleType")
        number = len(self._calls)
        outputs = [
            Tensor(f"t{number}_{index}", *_shape_and_dtype(kind))
            for index, kind in enumerate(types.fields if is_tuple else [types])
        ]
        self._calls.append(Call(call.args[0].name_hint, inputs, outputs))
        return list(outputs) if is_tuple else outputs[0]


def constant_of(expression: Any) -> Optional[Any]:
    """Return the array of a constant; None for another expression."""
    if type(expression).__name__ not in CONSTANTS:
        return None
    data = getattr(expression, "data", None)
    if data is None:
        data = expression.value
    return data.numpy() if hasattr(data, "numpy") else np.asarray(data)


def _flat(value: Operand) -> List[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for entry in value for tensor in _flat(entry)]


def tensor_type(expression: Any) -> Tuple[Shape, str]:
    """Return shape and data type of a Relax expression.

    Raises:
        ModelError: The expression is not a tensor, or its shape is known only at run time.
    """
    kind = getattr(expression, "struct_info", None) or getattr(expression, "ty", None)
    return _shape_and_dtype(kind)


def _shape_and_dtype(kind: Any) -> Tuple[Shape, str]:
    shape = getattr(kind, "shape", None)
    if shape is None:
        raise ModelError(
            "The model has a tensor whose shape is known only at run time.",
            "Give the shapes of the inputs with --input-shape.",
        )
    extents: Sequence[Any] = getattr(shape, "values", shape)
    try:
        return tuple(int(getattr(extent, "value", extent)) for extent in extents), str(kind.dtype)
    except TypeError:
        raise ModelError(
            f"The model has a tensor of shape {shape}, which is known only at run time.",
            "Give the shapes of the inputs with --input-shape.",
        ) from None
