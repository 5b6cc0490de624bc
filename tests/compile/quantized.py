# SPDX-License-Identifier: Apache-2.0
"""Quantized ONNX models: nets quantized by onnxruntime, and single operators with random scales."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, Final, List, Mapping, NamedTuple, Optional, Sequence, Set

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.compile.integers import with_integers
from runtime.host.compile.native import run_natively
from runtime.host.compile.onnx_model import with_static_shapes
from runtime.host.compile.onnx_rewrite.values import OWN_DOMAIN

CALIBRATIONS: Final = 8
OPSET: Final = 21

Arrays = Dict[str, "np.ndarray"]


class Kind(NamedTuple):
    """Element types of onnxruntime's quantizer."""

    activations: str
    weights: str
    per_channel: bool


KINDS: Final[Mapping[str, Kind]] = {
    "int8_channels": Kind("QInt8", "QInt8", True),
    "int8": Kind("QInt8", "QInt8", False),
    "uint8_int8_channels": Kind("QUInt8", "QInt8", True),
    "uint8": Kind("QUInt8", "QUInt8", False),
}


class _Samples:
    """Calibration data of a model."""

    def __init__(self, model: onnx.ModelProto, seed: int) -> None:
        random = np.random.default_rng(seed)
        self._samples = iter([_sample(model, random) for _ in range(CALIBRATIONS)])

    def get_next(self) -> Optional[Arrays]:
        return next(self._samples, None)


def _sample(model: onnx.ModelProto, random: np.random.Generator) -> Arrays:
    return {
        value.name: random.standard_normal(
            [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        ).astype("float32")
        for value in model.graph.input
    }


def quantized(model: onnx.ModelProto, kind: str, seed: int = 3) -> onnx.ModelProto:
    """Return a float model as onnxruntime quantizes it, with QuantizeLinear and DequantizeLinear.

    Args:
        model: Model with float32 inputs of static shapes.
        kind: One of KINDS.
        seed: Seed of the calibration data.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    logging.getLogger().setLevel(logging.ERROR)  # the quantizer recommends a preprocessing for each model
    types = KINDS[kind]
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = Path(name) / "quantized.onnx"
        quantize_static(
            model,
            target,
            _Samples(model, seed),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType[types.activations],
            weight_type=QuantType[types.weights],
            per_channel=types.per_channel,
        )
        return onnx.load(target)


class Form(NamedTuple):
    """Types and scales of a graph of single operators.

    Attributes:
        x: Element type of the inputs.
        y: Element type of the outputs.
        weights: Element type of the weights.
        per_channel: Whether each output channel of a weight has its own scale.
        zeros: Zero points: "random", "ends" of the type, or "middle".
        powers: Whether scales are powers of two, so that many results are ties.
        ratio: Factor on the scale of each output that fits its values.
    """

    x: str = "int8"
    y: str = "int8"
    weights: str = "int8"
    per_channel: bool = True
    zeros: str = "random"
    powers: bool = False
    ratio: float = 1.0


class Graph:
    """Quantized operators between integer inputs and outputs.

    The scale of an output is chosen by the numbers that a run of the floating-point graph has there.
    """

    def __init__(self, form: Form = Form(), seed: int = 0) -> None:  # noqa: B008 (it is a tuple)
        self.form = form
        self.random = np.random.default_rng(seed)
        self._nodes: List[Any] = []
        self._inputs: List[Any] = []
        self._outputs: Dict[str, str] = {}  # output -> its numbers before QuantizeLinear
        self._types: Dict[str, str] = {}  # output -> element type
        self._steps: Dict[str, str] = {}  # DequantizeLinear -> its scale
        self._constants: Dict[str, np.ndarray] = {}
        self._count = 0
        self._label = ""

    def name(self, kind: str) -> str:
        self._count += 1
        return f"{self._label}/{kind}{self._count}"

    def case(self, label: str) -> None:
        """Give a name to the operators and outputs that follow."""
        self._label = label

    def constant(self, value: Any, dtype: str = "float32") -> str:
        name = self.name("constant")
        self._constants[name] = np.asarray(value, dtype)
        return name

    def scale(self, low: float = 0.005, high: float = 0.1, count: int = 0) -> Any:
        """Return random scales, log-uniform: one, or `count` of them."""
        found = np.exp(self.random.uniform(np.log(low), np.log(high), count or ()))
        if self.form.powers:
            found = 2.0 ** np.rint(np.log2(found))
        return np.float32(found)

    def zero(self, dtype: str) -> int:
        limits = np.iinfo(dtype)
        if self.form.zeros == "ends":
            return int(self.random.choice([limits.min, limits.max]))
        if self.form.zeros == "middle":
            return int(limits.min + limits.max + 1) // 2
        return int(self.random.integers(limits.min, limits.max + 1))

    def dequantized(
        self, integers: str, scale: Any, zero: Any, dtype: str, axis: Optional[int] = None
    ) -> str:
        """Return the numbers of integers."""
        step = self.constant(scale)
        inputs = [integers, step, self.constant(zero, dtype)]
        made = self.op("DequantizeLinear", *inputs, **({} if axis is None else {"axis": axis}))
        self._steps[made] = step
        return made

    def input(
        self, *shape: int, dtype: str = "", scale: Optional[float] = None, zero: Optional[int] = None
    ) -> str:
        """Return the numbers of a new input of integers."""
        dtype = dtype or self.form.x
        name = self.name("x")
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return self.dequantized(
            name,
            self.scale() if scale is None else scale,
            self.zero(dtype) if zero is None else zero,
            dtype,
        )

    def weight(self, *shape: int, axis: int = 0, per_channel: Optional[bool] = None) -> str:
        """Return the numbers of constant integers: weights with an output channel for each index of axis."""
        dtype = self.form.weights
        limits = np.iinfo(dtype)
        data = self.random.integers(limits.min, limits.max + 1, shape)
        zero = 0 if dtype == "int8" else self.zero(dtype)
        name = self.constant(data, dtype)
        if not (self.form.per_channel if per_channel is None else per_channel):
            return self.dequantized(name, self.scale(1e-3, 1e-2), zero, dtype)
        count = shape[axis]
        return self.dequantized(name, self.scale(1e-3, 1e-2, count), np.full(count, zero), dtype, axis)

    def bias(self, x: str, weight: str, count: int, most: int = 5000) -> str:
        """Return the numbers of a bias of int32 whose scale is the product of those of x and a weight."""
        scale = self._constants[self._steps[x]] * self._constants[self._steps[weight]]
        data = self.constant(self.random.integers(-most, most + 1, count), "int32")
        return self.dequantized(data, scale, np.zeros(scale.shape), "int32", 0 if scale.shape else None)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output, and return its output."""
        (made,) = self.ops(1, kind, *inputs, **attributes)
        return made

    def ops(self, count: int, kind: str, *inputs: str, **attributes: Any) -> List[str]:
        """Add an operator with several outputs, and return them."""
        names = [self.name(kind) for _ in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def chain(self, x: str, *kinds: str) -> str:
        """Apply operators without attributes one after another."""
        for kind in kinds:
            x = self.op(kind, x)
        return x

    def output(self, value: str, dtype: str = "") -> str:
        """Quantize a value as an output of the graph, and return its numbers."""
        name = self.name("y")
        self._outputs[name] = value
        self._types[name] = dtype or self.form.y
        scale, zero = f"{name}/scale", f"{name}/zero"
        self._nodes.append(helper.make_node("QuantizeLinear", [value, scale, zero], [name]))
        made = self.name("DequantizeLinear")
        self._nodes.append(helper.make_node("DequantizeLinear", [name, scale, zero], [made]))
        self._steps[made] = scale
        return made

    def end(self, value: str, dtype: str = "float32") -> None:
        """Make a value an output of the graph as it is."""
        name = self.name("end")
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._types[name] = dtype

    def model(self) -> onnx.ModelProto:
        """Return the graph with a scale for each output that fits its values."""
        constants = dict(self._constants)
        for name, dtype in self._types.items():
            if name in self._outputs:
                constants[f"{name}/scale"] = np.float32(1)
                constants[f"{name}/zero"] = np.asarray(self.zero(dtype), dtype)
        pending = [name for name in self._types if name in self._outputs]
        # An output may depend on another one, whose scale is then needed before.
        while pending:
            values = [self._outputs[name] for name in pending]
            plain = self._model(constants, dict.fromkeys(values, "float32"))
            found = dict(zip(values, onnx_answers(plain, samples(plain)[:1], list(dict.fromkeys(values)))))
            settled = self._settled(pending)
            for name in settled:
                constants[f"{name}/scale"] = self._fitting(found[self._outputs[name]])
            pending = [name for name in pending if name not in settled]
        return self._model(constants, self._types)

    def _settled(self, pending: Sequence[str]) -> Set[str]:
        """Return the outputs that depend on no other one of those whose scale is not known."""
        waits: Set[str] = set()
        unknown = set(pending)
        tainted: Set[str] = set()
        for node in self._nodes:
            depends = any(name in tainted for name in node.input)
            if node.op_type == "QuantizeLinear" and node.output[0] in unknown:
                if depends:
                    waits.add(node.output[0])
                depends = True
            if depends:
                tainted.update(node.output)
        return unknown - waits

    def _fitting(self, values: List[np.ndarray]) -> Any:
        """Return the scale with which most values of an output fit into 256 steps."""
        largest = max(float(np.abs(array[np.isfinite(array)]).max(initial=0)) for array in values)
        scale = (largest or 1.0) / 128 * self.random.uniform(0.7, 1.5) * self.form.ratio
        return np.float32(2.0 ** np.rint(np.log2(scale)) if self.form.powers else scale)

    def _model(self, constants: Arrays, outputs: Mapping[str, str]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "quantized",
            self._inputs,
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)
                for name, dtype in outputs.items()
            ],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def samples(model: onnx.ModelProto, seed: int = 5) -> List[Arrays]:
    """Return inputs of integers: random ones, all least, all greatest, both in turn, and small ones."""
    random = np.random.default_rng(seed)
    found: List[Arrays] = [{} for _ in range(6)]
    for value in model.graph.input:
        shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        turns = np.where(np.arange(int(np.prod(shape))) % 2, low, high).reshape(shape)
        arrays = (
            random.integers(low, high + 1, shape),
            random.integers(low, high + 1, shape),
            np.full(shape, low),
            np.full(shape, high),
            turns,
            random.integers(0, 4, shape),
        )
        for sample, array in zip(found, arrays):
            sample[value.name] = array.astype(dtype)
    return found


def onnx_answers(
    model: onnx.ModelProto, inputs: Sequence[Arrays], names: Optional[List[str]] = None
) -> List[List[np.ndarray]]:
    """Return for each output the arrays that onnxruntime computes without optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [list(arrays) for arrays in zip(*(session.run(names, one) for one in inputs))]


def float_operators(model: onnx.ModelProto) -> Dict[str, str]:
    """Return the operators that compute or read floating-point numbers in the compiled form of a model."""
    rewritten = onnx.shape_inference.infer_shapes(with_integers(with_static_shapes(model)).model)
    graph = rewritten.graph
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return {
        node.name or node.output[0]: node.op_type
        for node in graph.node
        if node.domain != OWN_DOMAIN
        and any(kinds.get(name) == TensorProto.FLOAT for name in (*node.input, *node.output))
    }


class Errors(NamedTuple):
    """Errors of an output in steps: the largest one, and the part of the elements that have one."""

    largest: float
    part: float


def errors_in_steps(model: onnx.ModelProto) -> Dict[str, Errors]:
    """Return the errors of each output of the compiled C; floats count in 1e-5 of the largest value."""
    inputs = samples(model)
    archive = ModelArchive.unpacked(compile_model(model, verify=False).archive)
    answers = run_natively(archive, inputs)
    found = {}
    for value, expected in zip(model.graph.output, onnx_answers(model, inputs)):
        errors = []
        for answer, array in zip(answers, expected):
            got = answer[value.name]
            assert (got.shape, got.dtype) == (array.shape, array.dtype), value.name
            step = 1e-5 * max(1e-30, float(np.abs(array).max())) if array.dtype.kind == "f" else 1.0
            errors.append(np.abs(got.astype(np.float64) - array.astype(np.float64)).ravel() / step)
        together = np.concatenate(errors)
        found[value.name] = Errors(float(together.max()), float((together > 0.5).mean()))
    return found
