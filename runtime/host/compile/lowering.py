# SPDX-License-Identifier: Apache-2.0
"""Lowering of a Relax module to calls of kernels, and the C source of the kernels.

Of TVM only passes, the code generator for target c and s_tir.Schedule are used: they exist in all tested
releases (packages.py), while classes and attributes of the syntax tree change.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Final, Mapping, Tuple

import tvm
from tvm import relax, tirx

from runtime.host.compile.errors import ModelError
from runtime.host.compile.quiet import standard_error_discarded

MATH: Final = {"fabs": "fabsf"}
"""Functions of math.h without a rule for target c in TVM 0.25 to 0.27."""


def lowered(module: Any) -> Any:
    """Return a module whose main function calls kernels, one for each fused group of operators.

    Args:
        module: tvm.IRModule with a Relax main function.

    Raises:
        ModelError: TVM has no kernel for an operator.
    """
    try:
        # For each lookup TVM warns of indices outside of the tensor, which onnx_rewrite limits.
        with standard_error_discarded():
            return _lower(module)
    except Exception as error:
        raise ModelError(
            f"TVM has no kernel for an operator of the model: {last_line(error)}",
            "Replace the operator, or simplify its arguments.",
        ) from error


def _lower(module: Any) -> Any:
    steps = relax.transform
    with tvm.target.Target("c"):
        return tvm.transform.Sequential(
            [
                steps.DecomposeOpsForInference(),
                steps.FoldConstant(),
                steps.LegalizeOps(),
                steps.AnnotateTIROpPattern(),
                steps.FoldConstant(),
                steps.FuseOps(),
                steps.FuseTIR(),
                steps.RewriteDataflowReshape(),
                steps.ToNonDataflow(),
                steps.DeadCodeElimination(),
            ]
        )(module)


def kernels_of(module: Any) -> Mapping[str, Any]:
    """Return name -> tirx.PrimFunc of the kernels of a lowered module."""
    return {
        variable.name_hint: function
        for variable, function in module.functions.items()
        if isinstance(function, tirx.PrimFunc)
    }


def script_of(kernel: Any) -> str:
    """Return a kernel as TVMScript, which has constants with all digits."""
    return str(kernel.script(show_meta=False))


def c_source(kernels: Mapping[str, Any]) -> str:
    """Return the C that TVM generates for kernels.

    Args:
        kernels: Name -> scheduled tirx.PrimFunc.

    Raises:
        ModelError: TVM has no C for an operation.
    """
    _register_math()
    try:
        return _generate(kernels)
    except Exception as error:
        name, reason = _first_failing(kernels, error)
    raise ModelError(
        f"TVM cannot generate C for kernel {name}: {reason}",
        "Replace the operator that the kernel is named after.",
    )


def _generate(kernels: Mapping[str, Any]) -> str:
    module = tvm.IRModule(
        {name: function.with_attr("global_symbol", name) for name, function in kernels.items()}
    )
    # Asserts print long messages; vector types do not exist in plain C.
    config = {"tirx.disable_assert": True, "tirx.disable_vectorize": True}
    with tvm.transform.PassContext(opt_level=3, config=config):
        return str(tvm.tirx.build(module, target=tvm.target.Target("c")).inspect_source())


def _first_failing(kernels: Mapping[str, Any], failure: Exception) -> Tuple[str, str]:
    for name, function in kernels.items():
        try:
            _generate({name: function})
        except Exception as error:
            return name, last_line(error)
    return ", ".join(kernels), last_line(failure)


def last_line(error: Exception) -> str:
    """Return the last line of TVM's message, which has the reason; at most 200 characters."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    text = lines[-1][:200] if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."


@functools.lru_cache(maxsize=None)
def _register_math() -> None:
    """Add the rules of MATH to TVM, once in a process: a second registration fails."""
    # 0.27 moved the function.
    register = getattr(tirx.op, "register_intrin_lowering", None) or tvm.ir.register_intrin_lowering
    for name, function in MATH.items():
        register(f"tirx.{name}", target="c", f=_call_of(function), level=11)


def _call_of(function: str) -> Callable[[Any], Any]:
    def rule(call: Any) -> Any:
        kind = call.dtype if hasattr(call, "dtype") else call.ty  # 0.27 replaced dtype
        return tirx.call_pure_extern(kind, function, *call.args)

    return rule
