# SPDX-License-Identifier: Apache-2.0
"""ONNX's own operator tests as models for a microcontroller.

Inputs that decide shapes or settings (axes, sizes, scales, lengths, ...) become constants with the data of
the test, as exporters write them. Cases with outputs of other element types, sequences, optionals or
operators of other domains are left out.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Dict, Final, List, NamedTuple, Tuple

import numpy as np

DTYPES: Final = frozenset(["float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool"])
"""Element types of the outputs of a case, and of the inputs of a device."""

FROZEN: Final[Dict[str, Tuple[int, ...]]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "ConvInteger": (2, 3),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "DequantizeLinear": (1, 2),
    "Dropout": (1, 2),
    "Expand": (1,),
    "GRU": (4,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "If": (0,),
    "LSTM": (4,),
    "Loop": (0, 1),
    "MatMulInteger": (2, 3),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "NonMaxSuppression": (2, 3, 4),
    "OneHot": (1, 2),
    "Pad": (1, 2, 3),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2),
    "RNN": (4,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "ReverseSequence": (1,),
    "STFT": (1, 2, 3),
    "SequenceAt": (1,),
    "SequenceErase": (1,),
    "SequenceInsert": (2,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **{
        f"Reduce{kind}": (1,)
        for kind in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()  # noqa: SIM905
    },
}
"""Operator -> inputs that become constants."""


class Case(NamedTuple):
    """One test of an operator.

    Attributes:
        name: Name of the test in ONNX.
        operator: Operator of the test; of an expanded test, the one that was expanded.
        is_expanded: The model has the definition of the operator as a function, instead of the operator.
        model: onnx.ModelProto with constants in place of settings.
        inputs: Arrays of the remaining inputs.
        expected: Arrays of the outputs, in order.
        rtol: Relative tolerance of the test.
        atol: Absolute tolerance of the test.
    """

    name: str
    operator: str
    is_expanded: bool
    model: Any
    inputs: Dict[str, Any]
    expected: List[Any]
    rtol: float
    atol: float

    @property
    def is_of_devices(self) -> bool:
        """True if all inputs have a type of DTYPES. Other cases are refused by the type of an input."""
        return all(str(array.dtype) in DTYPES for array in self.inputs.values())


@functools.lru_cache(maxsize=None)
def all_node_cases() -> Tuple[Case, ...]:
    """Return all cases, those of expanded operators included. The first call takes about 12 seconds."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        tests: List[Any] = load_model_tests(kind="node")
    frozen: Dict[str, List[str]] = {}
    operators: Dict[str, str] = {}
    for test in tests:
        if "_expanded" not in test.name:
            node = test.model.graph.node[0]
            operators[test.name] = node.op_type
            frozen[test.name] = [
                node.input[index]
                for index in FROZEN.get(node.op_type, ())
                if index < len(node.input) and node.input[index]
            ]
    cases = []
    for test in tests:
        base = test.name.split("_expanded")[0]
        if _is_for_devices(test):
            cases.append(_frozen(test, operators.get(base, ""), frozen.get(base, [])))
    return tuple(cases)


def node_cases(expanded: bool = False) -> List[Case]:
    """Return the cases of operators.

    Args:
        expanded: Return the cases in which ONNX has replaced the operator by its function, instead.
    """
    return [case for case in all_node_cases() if case.is_expanded == expanded]


def _is_for_devices(test: Any) -> bool:
    """Return whether a test has static tensors of a device's types, and operators of the default domain."""
    graph = test.model.graph
    if any(node.domain not in ("", "ai.onnx") for node in graph.node):
        return False
    if len(test.data_sets) != 1:
        return False
    for value in (*graph.input, *graph.output):
        if not value.type.HasField("tensor_type"):
            return False
    inputs, outputs = test.data_sets[0]
    return all(isinstance(array, (np.ndarray, np.generic)) for array in (*inputs, *outputs)) and all(
        str(array.dtype) in DTYPES for array in outputs
    )


def _frozen(test: Any, operator: str, names: List[str]) -> Case:
    """Return a test with constants in place of some inputs."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    inputs, outputs = test.data_sets[0]
    arrays = {value.name: np.asarray(array) for value, array in zip(model.graph.input, inputs)}
    kept = [value for value in model.graph.input if value.name not in names]
    constants = [numpy_helper.from_array(arrays[name], name) for name in names if name in arrays]
    model.graph.initializer.extend(constants)
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return Case(
        test.name,
        operator,
        "_expanded" in test.name,
        model,
        {value.name: arrays[value.name] for value in kept},
        [np.asarray(array) for array in outputs],
        test.rtol,
        test.atol,
    )
