# SPDX-License-Identifier: Apache-2.0
"""Checks of the JSON of a program: the graph in a file of torch.export.

PyTorch looks up each operator by its name in its own modules, evaluates the expressions of dynamic shapes as
Python, and compiles Python that has the names of the values. So this module accepts operators of aten, static
shapes and plain names, and copies only what these need.
"""

from __future__ import annotations

import json
import keyword
import re
from typing import Any, Dict, Final, List

from runtime.host.compile.errors import ModelError

Json = Dict[str, Any]

OPERATOR: Final = re.compile(r"torch\.ops\.aten\.([A-Za-z0-9_]+)\.[A-Za-z0-9_]+\Z")
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}\Z")
WORD: Final = re.compile(r"[A-Za-z0-9_.+\-]{0,500}\Z")  # names of parameters, versions, "Infinity"
TEXT: Final = re.compile(r"[A-Za-z0-9_,.> \-]{0,200}\Z")  # arguments such as "floor" and "bij,bjk->bik"

PRIVATE: Final = frozenset(
    """
    _to_copy _softmax _log_softmax _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_tensor_metadata
    _assert_async _assert_scalar _native_batch_norm_legit _native_batch_norm_legit_no_training
    _native_batch_norm_legit_functional _trilinear _weight_norm _unsafe_view _embedding_bag
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _upsample_bilinear2d_aa
    _cdist_forward _conv_depthwise2d __and__ __or__ __xor__ __lshift__ __rshift__ _pad_circular _pad_enum
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
"""Operators with a leading underscore that programs have. Others do not check their arguments."""

WITH_TEXT: Final = frozenset(
    "einsum div div_ gelu gelu_ pad meshgrid conv1d conv2d conv3d index_reduce scatter_reduce".split()  # noqa: SIM905
)
"""Operators with an argument that is a string. Others read or write files."""

ARGUMENTS: Final = frozenset(
    """
    as_none as_tensor as_tensors as_int as_ints as_float as_floats as_string as_bool as_bools as_scalar_type
    as_memory_format as_layout as_device as_optional_tensors as_optional_tensor as_sym_int as_sym_ints
    as_int_lists as_float_lists
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
SYMBOLS: Final = ("sym_int_values", "sym_bool_values", "sym_float_values")
GRAPH: Final = ("inputs", "outputs", "nodes", "tensor_values", "is_single_tensor_return")
TOP: Final = ("opset_version", "schema_version", "torch_version")

STRIDED: Final = 7  # of schema.Layout: a dense tensor

EXPORT: Final = "Export the module again with torch.export.export and torch.export.save."
STATIC: Final = "Export the module without dynamic_shapes, for inputs of the size that the board gets."


def checked_program(data: bytes) -> bytes:
    """Return the JSON of a program without the parts that PyTorch evaluates.

    Args:
        data: The file models/model.json of an archive.

    Raises:
        ModelError: The program has a dynamic shape, an operator that is not of aten, or an invalid part.
    """
    try:
        return _checked(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"The program in the file is damaged: {_reason(error)}.", EXPORT) from error


def _checked(program: Json) -> bytes:
    module = program["graph_module"]
    graph, signature = module["graph"], module["signature"]
    for name, value in graph["tensor_values"].items():
        check_tensor(name, value)
    if any(graph.get(key) for key in SYMBOLS) or program.get("range_constraints"):
        raise ModelError("The program has dynamic shapes.", STATIC)
    if graph.get("custom_obj_values"):
        raise ModelError("The program has an object of C++.", "Export a module of tensors only.")
    nodes = [_checked_node(node) for node in graph["nodes"]]
    kept = {key: graph[key] for key in GRAPH if key in graph}
    for value in (kept["inputs"], kept["outputs"], kept["tensor_values"], signature):
        _check_strings(value)
    inputs = sum(next(iter(spec)) in ("user_input", "constant_input") for spec in signature["input_specs"])
    outputs = sum(next(iter(spec)) in ("user_output", "loss_output") for spec in signature["output_specs"])
    made: Json = {key: program[key] for key in TOP if key in program}
    _check_strings(made)
    made["graph_module"] = {
        "graph": {
            **kept,
            "nodes": nodes,
            **{key: {} for key in (*SYMBOLS, "custom_obj_values")},
        },
        "signature": signature,
        "module_call_graph": [_flat_call(inputs, outputs)],
        "metadata": {},
        "treespec_namedtuple_fields": {},
    }
    made.update(range_constraints={}, verifiers=["TRAINING"], guards_code=[])
    return json.dumps(made).encode()


def _checked_node(node: Json) -> Json:
    target = str(node["target"])
    found = OPERATOR.match(target)
    if not found:
        raise ModelError(
            f"Operator {target[:100]} is not supported: it is not an operator of aten.",
            "Remove control flow, torch.no_grad and custom operators from forward().",
        )
    operator = found[1]
    if operator.startswith("_") and operator not in PRIVATE:
        raise ModelError(
            f"Operator aten.{operator} is not supported: it is a private operator.",
            "Replace the operator in the module.",
        )
    for given in node["inputs"]:
        _check_argument(operator, given["arg"])
    made = {
        "target": target,
        "inputs": node["inputs"],
        "outputs": node["outputs"],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": node.get("name"),
    }
    _check_strings([[given["name"] for given in node["inputs"]], node["outputs"], {"name": node.get("name")}])
    return made


def _check_argument(operator: str, argument: Json) -> None:
    ((kind, value),) = argument.items()
    if kind not in ARGUMENTS:
        raise ModelError(f"Operator aten.{operator} has an argument of kind {kind[:50]!r}.", EXPORT)
    if kind == "as_string":
        if operator not in WITH_TEXT or not TEXT.match(value):
            raise ModelError(f"Operator aten.{operator} has an invalid argument {value[:50]!r}.", EXPORT)
        return
    if kind in ("as_sym_int", "as_sym_ints"):
        entries = value if isinstance(value, list) else [value]
        if any("as_name" in entry for entry in entries):
            raise ModelError(f"Operator aten.{operator} has an argument that depends on a shape.", STATIC)
    if kind == "as_device":
        _check_device(value)
    _check_strings(value)


def check_tensor(name: str, value: Json) -> None:
    """Check shape, layout and device of a tensor.

    Args:
        name: Name in the program.
        value: Its metadata.

    Raises:
        ModelError: The tensor is not a dense one of a static shape on the CPU.
    """
    for number, extent in enumerate(value["sizes"]):
        if "as_int" not in extent:
            symbol = (extent.get("as_expr") or {}).get("expr_str", "")
            raise ModelError(
                f"Tensor {name[:100]!r} has a dynamic shape: dimension {number} is {str(symbol)[:50]!r}.",
                STATIC,
            )
    for extent in [*value["sizes"], *value["strides"], value["storage_offset"]]:
        (number,) = extent.values()
        if list(extent) != ["as_int"] or not isinstance(number, int) or not 0 <= number < 1 << 40:
            raise ModelError(f"Tensor {name[:100]!r} has an invalid shape.", EXPORT)
    if value["layout"] != STRIDED:
        raise ModelError(f"Tensor {name[:100]!r} is sparse.", "Use dense tensors: tensor.to_dense().")
    _check_device(value["device"])


def _check_device(device: Json) -> None:
    if device["type"] != "cpu":
        raise ModelError(
            f"The program was exported for the device {str(device['type'])[:20]!r}.",
            "Move module and inputs to the CPU before the export: module.cpu().",
        )


def _check_strings(value: Any, key: str = "") -> None:
    """Check that names are plain, and that no expression is left, in any part of the JSON."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("as_expr", "expr_str", "as_operator", "as_graph", "as_custom_obj", "custom_obj"):
                raise ModelError(f"The program has a part of kind {name!r}.", STATIC)
            _check_word(name, WORD)
            _check_strings(inner, name)
    elif isinstance(value, list):
        for inner in value:
            _check_strings(inner, key)
    elif isinstance(value, str):
        is_name = key in ("name", "as_name") and value
        _check_word(value, NAME if is_name else WORD)
        if is_name and keyword.iskeyword(value):
            raise ValueError(f"invalid name {value!r}")


def _check_word(value: str, form: Any) -> None:
    if not form.match(value):
        raise ValueError(f"invalid name {value[:100]!r}")


def _flat_call(inputs: int, outputs: int) -> Json:
    """Return the structure of a call with a list of tensors as inputs and as outputs."""
    leaf: Json = {"type": None, "context": None, "children_spec": []}
    returned = _tuple([leaf] * outputs)
    no_names: Json = {"type": "builtins.dict", "context": "[]", "children_spec": []}
    given = _tuple([_tuple([leaf] * inputs), no_names])
    return {
        "fqn": "",
        "signature": {
            "inputs": [],
            "outputs": [],
            "in_spec": json.dumps([1, given]),
            "out_spec": json.dumps([1, returned]),
            "forward_arg_names": None,
        },
    }


def _tuple(children: List[Json]) -> Json:
    return {"type": "builtins.tuple", "context": "null", "children_spec": children}


def _reason(error: Exception) -> str:
    text = str(error)[:150] or type(error).__name__
    return f"no {text}" if isinstance(error, KeyError) else text
