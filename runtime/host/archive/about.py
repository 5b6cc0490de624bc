# SPDX-License-Identifier: Apache-2.0
"""Facts about a model that `compile` writes into metadata.json, under "about" of the module.

An archive is untrusted: the type of each value is checked. Archives of TVM have no such facts.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Tuple, TypeVar

from runtime.host.archive.metadata import Metadata

MADE_BY: Final = "microtvm-template"
MOST: Final = 1 << 63
_T = TypeVar("_T")


class OperatorFacts(NamedTuple):
    """One operator of the trained model.

    Attributes:
        operator: Name of the operator in the format of the model.
        name: Name of the node in the model, or of its first output.
        inputs: "dtype AxBxC" of each input, constants included.
        outputs: "dtype AxBxC" of each output.
        macs: Multiply-accumulate operations; 0 for operators without them.
        parameters: Elements of its constants.
        memory_bytes: Bytes of its inputs and outputs that are not constants.
    """

    operator: str
    name: str
    inputs: List[str]
    outputs: List[str]
    macs: int
    parameters: int
    memory_bytes: int


class TensorFact(NamedTuple):
    """Output of a kernel.

    Attributes:
        dtype: Data type in NumPy's spelling.
        shape: Extents.
        size_bytes: Bytes of the tensor.
    """

    dtype: str
    shape: Tuple[int, ...]
    size_bytes: int


class KernelFacts(NamedTuple):
    """One call of a kernel.

    Attributes:
        name: Name of the C function.
        outputs: Tensors that the kernel writes.
        arena_bytes: Bytes of the arena that are in use during the call, scratch included.
        scratch_bytes: Bytes of the arena for the kernel's intermediate values.
    """

    name: str
    outputs: List[TensorFact]
    arena_bytes: int
    scratch_bytes: int


class OutputErrors(NamedTuple):
    """Errors of one output in the verification by `compile`.

    Attributes:
        name: Name of the output.
        largest_error: Largest absolute error.
        mean_error: Mean absolute error.
        largest_value: Largest absolute value of the reference.
    """

    name: str
    largest_error: float
    mean_error: float
    largest_value: float


class VerificationFacts(NamedTuple):
    """Result of the verification by `compile`.

    Attributes:
        reference: Name of the reference runtime.
        sets: Number of sets of inputs.
        outputs: Errors of each output.
    """

    reference: str
    sets: int
    outputs: List[OutputErrors]


class ModelFacts(NamedTuple):
    """Facts about a compiled model.

    Attributes:
        operators: Operators of the trained model in order; None for a model in Relax.
        parameters: Elements of all constants of the trained model; None for a model in Relax.
        in_float: Operators of quantized tensors that compute floating-point numbers.
        kernels: Calls of kernels in order.
        arena_bytes: Size of the arena.
        arena_bound_bytes: Largest number of bytes that are alive at one time.
        constant_bytes: Size of all constants in flash.
        verified: Result of the verification; None without one.
    """

    operators: Optional[List[OperatorFacts]]
    parameters: Optional[int]
    in_float: List[str]
    kernels: List[KernelFacts]
    arena_bytes: int
    arena_bound_bytes: int
    constant_bytes: int
    verified: Optional[VerificationFacts]

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one inference."""
        return sum(operator.macs for operator in self.operators or ())

    @property
    def peak_memory_bytes(self) -> int:
        """Largest memory of one operator: its inputs and outputs that are not constants."""
        return max((operator.memory_bytes for operator in self.operators or ()), default=0)


def read_facts(metadata: Metadata) -> Optional[ModelFacts]:
    """Return the facts in an archive; None for an archive that `compile` did not write.

    Raises:
        ArchiveError: A value has the wrong type.
    """
    about = metadata.about
    if about.get("made_by") != MADE_BY:
        return None
    try:
        return _model(about)
    except ValueError as error:
        metadata.refuse(f"has an invalid metadata.json: 'about' has {error}", "Compile the model again.")


def _model(about: Dict[str, Any]) -> ModelFacts:
    has_operators = "operators" in about
    verified = about.get("verified")
    return ModelFacts(
        _list(about, "operators", _operator) if has_operators else None,
        _count(about, "parameters") if has_operators else None,
        _texts(about, "in_float") if "in_float" in about else [],
        _list(about, "kernels", _kernel),
        _count(about, "arena_bytes"),
        _count(about, "arena_bound_bytes"),
        _count(about, "constant_bytes"),
        None if verified is None else _verification(_object(verified)),
    )


def _operator(entry: Dict[str, Any]) -> OperatorFacts:
    return OperatorFacts(
        _text(entry, "operator"),
        _text(entry, "name"),
        _texts(entry, "inputs"),
        _texts(entry, "outputs"),
        _count(entry, "macs"),
        _count(entry, "parameters"),
        _count(entry, "memory_bytes"),
    )


def _kernel(entry: Dict[str, Any]) -> KernelFacts:
    return KernelFacts(
        _text(entry, "name"),
        _list(entry, "outputs", _tensor),
        _count(entry, "arena_bytes"),
        _count(entry, "scratch_bytes"),
    )


def _tensor(entry: Dict[str, Any]) -> TensorFact:
    shape = entry.get("shape")
    if not isinstance(shape, list) or not all(map(_is_count, shape)):
        raise ValueError("no list of extents 'shape'")
    return TensorFact(_text(entry, "dtype"), tuple(shape), _count(entry, "size_bytes"))


def _verification(entry: Dict[str, Any]) -> VerificationFacts:
    return VerificationFacts(
        _text(entry, "reference"), _count(entry, "sets_of_inputs"), _list(entry, "outputs", _errors)
    )


def _errors(entry: Dict[str, Any]) -> OutputErrors:
    return OutputErrors(
        _text(entry, "name"),
        _number(entry, "largest_error"),
        _number(entry, "mean_error"),
        _number(entry, "largest_value"),
    )


def _object(value: Any) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an entry that is not an object")
    return value


def _list(entry: Dict[str, Any], key: str, read: Callable[[Dict[str, Any]], _T]) -> List[_T]:
    value = entry.get(key)
    if not isinstance(value, list):
        raise ValueError(f"no list {key!r}")
    return [read(_object(item)) for item in value]


def _text(entry: Dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise ValueError(f"no string {key!r}")
    return value


def _texts(entry: Dict[str, Any], key: str) -> List[str]:
    value = entry.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"no list of strings {key!r}")
    return list(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST


def _count(entry: Dict[str, Any], key: str) -> int:
    value = entry.get(key)
    if not _is_count(value):
        raise ValueError(f"no number of at least 0 {key!r}")
    return int(value)  # type: ignore[arg-type]


def _number(entry: Dict[str, Any], key: str) -> float:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"no finite number {key!r}")
    return float(value)
