# SPDX-License-Identifier: Apache-2.0
"""Operators of a decomposed program: the supported ones, and the reasons for a refusal."""

from __future__ import annotations

from typing import Any, Dict, Final, FrozenSet

import torch
from torch.export import ExportedProgram

from runtime.host.compile.errors import ModelError
from runtime.host.compile.torch_import.signature import DTYPES, tensors_of_program

SUPPORTED: Final = frozenset(
    """
    abs acos acosh add.Tensor alias amax amin argmax argmin asin asinh atan atan2 atanh
    avg_pool1d avg_pool2d avg_pool3d bitwise_and.Scalar bitwise_and.Tensor bitwise_not bitwise_or.Scalar
    bitwise_or.Tensor bitwise_xor.Scalar bitwise_xor.Tensor bmm cat ceil clamp clamp.Tensor clone
    constant_pad_nd convolution cos cosh diagonal div.Tensor eq.Scalar eq.Tensor erf exp expand expm1
    flip floor floor_divide fmod.Scalar fmod.Tensor full gather ge.Scalar ge.Tensor gelu gt.Scalar gt.Tensor
    hardtanh index_select isinf isnan le.Scalar le.Tensor leaky_relu log log10 log1p log2
    logical_and logical_not logical_or logical_xor lt.Scalar lt.Tensor maximum
    max_pool2d_with_indices max_pool3d_with_indices mean.dim minimum mm mul.Tensor
    _native_batch_norm_legit.no_stats native_layer_norm ne.Scalar ne.Tensor neg permute
    pixel_shuffle pow.Scalar pow.Tensor_Scalar pow.Tensor_Tensor prod prod.dim_int reciprocal
    relu remainder.Scalar remainder.Tensor repeat round rsqrt scatter.src scatter.value scatter_add
    select.int sigmoid sign silu sin sinh slice.Tensor softplus
    split_with_sizes sqrt square squeeze.dim squeeze.dims stack sub.Tensor sum.dim_IntList tan
    tanh _to_copy trunc unsqueeze upsample_bicubic2d.vec upsample_bilinear2d.vec var.correction
    view where.self addmm baddbmm _softmax _log_softmax
    """.split()  # noqa: SIM905 (a list of words is easier to read)
)
"""Operators that TVM 0.27 imports correctly after the rules: those of tests/compile/torch."""

CREATORS: Final = frozenset(
    "arange.start_step eye eye.m full linspace ones zeros scalar_tensor lift_fresh_copy".split()  # noqa: SIM905
)
"""Operators that are supported as constants."""

MOST_ELEMENTS: Final = 1 << 27  # of one tensor: far more than the memory of any microcontroller

_RANDOM: Final = "its result is random, so that no reference can verify it"
_DYNAMIC: Final = "the shape of its result depends on the values of its input"
_SORT: Final = "the code generator has no sort"
_COMPLEX: Final = "the device has no complex numbers"

REASONS: Final[Dict[str, str]] = {
    **dict.fromkeys(
        ("bernoulli", "rand", "randn", "rand_like", "randn_like", "randint", "randperm"), _RANDOM
    ),
    **dict.fromkeys(("multinomial", "normal", "native_dropout", "uniform", "rrelu_with_noise"), _RANDOM),
    **dict.fromkeys(("nonzero", "masked_select", "_unique2", "unique_dim"), _DYNAMIC),
    **dict.fromkeys(("topk", "sort", "argsort", "median", "kthvalue", "mode", "nanmedian"), _SORT),
    **dict.fromkeys(("view_as_complex", "view_as_real", "_fft_r2c", "_fft_c2r", "_fft_c2c"), _COMPLEX),
    "empty": "its values are undefined",
    "as_strided": "it depends on the layout of tensors in the memory of PyTorch",
}
"""Operator without its overload -> why it is refused."""

ONLY_FIRST: Final[FrozenSet[str]] = frozenset(
    "max_pool2d_with_indices max_pool3d_with_indices native_layer_norm".split()  # noqa: SIM905
) | {"_native_batch_norm_legit.no_stats"}
"""Operators with several results, of which only the first one is imported correctly."""


def name_of(node: torch.fx.Node) -> str:
    """Return the operator of a node, such as "select.int"; without an overload that is the default."""
    target: Any = node.target
    name = str(getattr(target, "_name", None) or getattr(target, "__name__", target))
    name = name.replace("::", ".")
    if isinstance(target, torch._ops.OpOverload):
        name = target._schema.name.split("::")[1]
        if target._overloadname != "default":
            name += f".{target._overloadname}"
        if target.namespace != "aten":
            name = f"{target.namespace}::{name}"
    return name


def refusal_of(node: torch.fx.Node, reason: str) -> ModelError:
    """Return the error for an operator."""
    return ModelError(
        f"Operator aten.{name_of(node)} of node {node.name!r} is not supported: {reason}.",
        "Replace the operator in the module, or compute its result on the host.",
    )


def check_program(program: ExportedProgram) -> None:
    """Check the shapes of all tensors.

    Raises:
        ModelError: A shape is dynamic, has no elements, or is too large.
    """
    for node, tensor in tensors_of_program(program):
        for number, extent in enumerate(tensor.shape):
            if isinstance(extent, int):
                continue
            if node.op == "placeholder":
                raise ModelError(
                    f"Input {node.name!r} has a dynamic shape: dimension {number} is {extent}.",
                    "Export the module without dynamic_shapes, for inputs of the size that the board gets.",
                )
            raise refusal_of(node, _DYNAMIC)
        if tensor.numel() > MOST_ELEMENTS:
            raise refusal_of(node, f"a tensor of {tensor.numel():,} elements does not fit a microcontroller")


def check_operators(program: ExportedProgram) -> None:
    """Check the operators of a decomposed program.

    Raises:
        ModelError: An operator is not supported; the message has its name.
    """
    for node in program.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        name = name_of(node)
        if node.op != "call_function":
            raise ModelError(
                f"The program has a part of kind {node.op}: {node.target}.",
                "Export a module without control flow and without objects of C++.",
            )
        if name == "getitem":
            _check_result(node)
        elif name not in SUPPORTED and name not in CREATORS:
            raise refusal_of(node, REASONS.get(name.split(".")[0], "no rule imports it"))
        elif name.startswith("upsample") and len(node.args) > 3 and node.args[3] is not None:
            _check_scale(node)
        elif name == "convolution" and node.args[6] and len(node.meta["val"].shape) > 4:
            raise refusal_of(node, "TVM has no transposed convolution of three dimensions")
        elif name.startswith("avg_pool") and len(node.args) > 6 and node.args[6] is not None:
            raise refusal_of(node, "divisor_override is not supported with padding or ceil_mode")


def check_types(program: ExportedProgram) -> None:
    """Check the data types of all tensors of a decomposed program, whose constants are folded.

    Raises:
        ModelError: A type is not one of a device; the message has the operator.
    """
    for node, tensor in tensors_of_program(program):
        kind = str(tensor.dtype).split(".")[-1]
        if node.op == "placeholder" and node.users and tensor.dtype not in DTYPES:
            raise ModelError(
                f"The module has the constant {node.name!r} of type {kind}, which devices do not support.",
                "Convert the module to float32 before the export: module.float().",
            )
        if node.op == "call_function" and tensor.dtype not in DTYPES:
            raise refusal_of(node, f"devices do not support the type {kind}. Use float32 or an integer type")
        if node.op == "call_function" and 0 in tensor.shape and node.users:
            raise refusal_of(node, "it returns a tensor without elements")


def _check_result(node: torch.fx.Node) -> None:
    source, number = node.args
    if isinstance(source, torch.fx.Node) and name_of(source) in ONLY_FIRST and number != 0:
        raise refusal_of(source, f"only its first result is supported, and the program uses result {number}")


def _check_scale(node: torch.fx.Node) -> None:
    """Refuse a factor that does not follow from the sizes: TVM's importer uses the sizes only."""
    source, made = node.args[0].meta["val"], node.meta["val"]
    factors: Any = node.args[3]
    spatial = zip(source.shape[2:], made.shape[2:], factors)
    if any(abs(extent * factor - size) > 1e-6 for extent, size, factor in spatial):
        raise refusal_of(node, "its scale_factor is not the quotient of two sizes; give the size")
