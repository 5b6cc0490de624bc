# SPDX-License-Identifier: Apache-2.0
"""Writer of small TensorFlow Lite files for tests."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES: Dict[str, int] = {
    "float16": schema.TensorType.FLOAT16,
    "float32": schema.TensorType.FLOAT32,
    "float64": schema.TensorType.FLOAT64,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
}
SMALL_OPERATOR_CODES = 127
VERSIONS = {"BROADCAST_TO": 2}  # LiteRT has no version 1 of it


class Builder:
    """Tensors and operators of a file."""

    def __init__(self) -> None:
        self.model = schema.ModelT(
            version=3, operatorCodes=[], buffers=[schema.BufferT(), schema.BufferT()], description="test"
        )
        self.graph = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[], name="main")
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "float32",
        name: Optional[str] = None,
        data: Any = None,
        scale: Optional[Sequence[float]] = None,
        zero: Sequence[int] = (0,),
        axis: int = 0,
        **fields: Any,
    ) -> int:
        """Add a tensor, and return its index. Data make it a constant."""
        buffer = 0
        if data is not None:
            content = np.ascontiguousarray(np.asarray(data, dtype)).reshape(-1)
            self.model.buffers.append(schema.BufferT(data=content.view(np.uint8)))
            buffer = len(self.model.buffers) - 1
        quantization = None
        if scale is not None:
            zeros = np.broadcast_to(np.array(zero, np.int64), len(scale)).copy()
            quantization = schema.QuantizationParametersT(
                scale=np.array(scale, np.float32), zeroPoint=zeros, quantizedDimension=axis
            )
        index = len(self.graph.tensors)
        self.graph.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32),
                type=TYPES[dtype],
                buffer=buffer,
                name=f"t{index}" if name is None else name,
                quantization=quantization,
                **fields,
            )
        )
        return index

    def constant(self, data: Any, dtype: str = "int32", **fields: Any) -> int:
        """Add a constant, and return its index."""
        array = np.asarray(data, dtype)
        return self.tensor(array.shape, dtype, data=array, **fields)

    def operator(
        self,
        op: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Optional[Tuple[str, Dict[str, Any]]] = None,
    ) -> None:
        """Add an operator. Options are a type of the schema and its fields."""
        code = getattr(schema.BuiltinOperator, op)
        self.model.operatorCodes.append(
            schema.OperatorCodeT(
                deprecatedBuiltinCode=min(code, SMALL_OPERATOR_CODES),
                builtinCode=code,
                version=VERSIONS.get(op, 1),
            )
        )
        made = schema.OperatorT(
            opcodeIndex=len(self.model.operatorCodes) - 1,
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
        )
        if options is not None:
            kind, fields = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(schema, f"{kind}T")()
            for name, value in fields.items():
                assert hasattr(made.builtinOptions, name), name
                setattr(made.builtinOptions, name, value)
        self.graph.operators.append(made)

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file."""
        self.graph.inputs = np.array(inputs, np.int32)
        self.graph.outputs = np.array(outputs, np.int32)
        writer = flatbuffers.Builder(1024)
        writer.Finish(self.model.Pack(writer), b"TFL3")
        return bytes(writer.Output())

    def outputs_of(self, index: int) -> List[int]:
        """Return the outputs of an operator."""
        return [int(number) for number in self.graph.operators[index].outputs]
