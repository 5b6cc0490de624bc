# SPDX-License-Identifier: Apache-2.0
"""Device memory of one executor, and copies to and from the tensors in this memory."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, List, Tuple, cast

import numpy

from runtime.host.archive.tensor_specs import TensorSpec
from runtime.host.dtype import DType, describe
from runtime.host.errors import PlatformError
from runtime.host.wire.remote_tensor import RemoteTensor
from runtime.host.wire.rpc import CopyFrom, CopyTo, RpcClient

Array = Any  # numpy.ndarray of any data type: the model decides


class DeviceMemory:
    """Device memory that one executor has allocated."""

    def __init__(self, rpc: RpcClient) -> None:
        self.rpc = rpc
        self._addresses: List[int] = []

    def allocate(self, nbytes: int, dtype: DType) -> int:
        """Return the address of a new block."""
        address = self.rpc.allocate(nbytes, dtype)
        self._addresses.append(address)
        return address

    def tensor(self, dtype: DType, shape: Tuple[int, ...]) -> RemoteTensor:
        """Return a new tensor."""
        return RemoteTensor(self.allocate(dtype.nbytes(shape), dtype), dtype, shape)

    def vector(self, dtype: DType, count: int) -> RemoteTensor:
        """Return a new tensor of one dimension."""
        return self.tensor(dtype, (count,))

    def free(self) -> None:
        """Free all blocks, the last one first, because the device allocates memory like a stack."""
        while self._addresses:
            self.rpc.free(self._addresses.pop())

    @contextlib.contextmanager
    def freed_on_error(self) -> Iterator[None]:
        """Free all blocks if the body of the `with` statement raises."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(PlatformError):
                self.free()
            raise


class Setter:
    """Function that copies an array to one input."""

    def __init__(self, spec: TensorSpec, copy: CopyTo) -> None:
        self._spec = spec
        self._dtype = _numpy_dtype(spec.dtype)
        self._copy = copy
        self.blocks = copy.blocks

    def __call__(self, value: Array) -> None:
        """Copy an array to the input. Raise PlatformError if its type or shape does not match."""
        array = numpy.asarray(value)
        spec = self._spec
        fits = array.shape == spec.shape if spec.shape is not None else array.nbytes == spec.size_bytes
        if array.dtype != self._dtype or not fits:
            wanted = describe(spec.dtype, spec.shape) if spec.shape is not None else f"{spec.dtype}"
            raise PlatformError(
                f"Input {spec.name!r}: expected {wanted} ({spec.size_bytes} bytes), got "
                f"{describe(array.dtype, array.shape)}.",
                "Convert the array with astype and reshape.",
            )
        self._copy(array.tobytes())


class Getter:
    """Function that copies one output to a new array."""

    def __init__(self, spec: TensorSpec, copy: CopyFrom) -> None:
        self._dtype = _numpy_dtype(spec.dtype)
        self._shape = spec.shape
        self._copy = copy
        self.blocks = copy.blocks

    def __call__(self) -> Array:
        """Return the output as a new array."""
        flat = numpy.frombuffer(bytearray(self._copy()), self._dtype)
        return flat if self._shape is None else flat.reshape(self._shape)


def _numpy_dtype(name: str) -> numpy.dtype[Any]:
    try:
        dtype: numpy.dtype[Any] = numpy.dtype(name)
    except TypeError as error:
        raise PlatformError(
            f"Tensor type {name!r} of the model is not supported by numpy.",
            "Cast the tensor to another type inside the model.",
        ) from error
    return cast("numpy.dtype[Any]", dtype.newbyteorder("<"))
