# SPDX-License-Identifier: Apache-2.0
"""Memory of the device that one executor has allocated, and copies to and from tensors in it."""

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
    """Memory of the device that one executor has allocated."""

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
        """A new tensor of one dimension."""
        return self.tensor(dtype, (count,))

    def free(self) -> None:
        """Last allocated first: the device's memory is a stack at heart."""
        while self._addresses:
            self.rpc.free(self._addresses.pop())

    @contextlib.contextmanager
    def freed_on_error(self) -> Iterator[None]:
        """Free everything where the block fails."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(PlatformError):
                self.free()
            raise


class Setter:
    """Copies arrays to one input."""

    def __init__(self, spec: TensorSpec, copy: CopyTo) -> None:
        self._spec = spec
        self._dtype = _numpy_dtype(spec.dtype)
        self._copy = copy
        self.blocks = copy.blocks

    def __call__(self, value: Array) -> None:
        array = numpy.asarray(value)
        spec = self._spec
        fits = array.shape == spec.shape if spec.shape is not None else array.nbytes == spec.size_bytes
        if array.dtype != self._dtype or not fits:
            wanted = describe(spec.dtype, spec.shape) if spec.shape is not None else f"{spec.dtype}"
            raise PlatformError(
                f"Input {spec.name} takes {wanted} ({spec.size_bytes} bytes), not "
                f"{describe(array.dtype, array.shape)}.",
                "Convert the array with astype and reshape.",
            )
        self._copy(array.tobytes())


class Getter:
    """Copies one output to arrays."""

    def __init__(self, spec: TensorSpec, copy: CopyFrom) -> None:
        self._dtype = _numpy_dtype(spec.dtype)
        self._shape = spec.shape
        self._copy = copy
        self.blocks = copy.blocks

    def __call__(self) -> Array:
        flat = numpy.frombuffer(bytearray(self._copy()), self._dtype)
        return flat if self._shape is None else flat.reshape(self._shape)


def _numpy_dtype(name: str) -> numpy.dtype[Any]:
    try:
        dtype: numpy.dtype[Any] = numpy.dtype(name)
    except TypeError as error:
        raise PlatformError(
            f"The model has a tensor of type {name}, which numpy does not know.", "Cast it inside the model."
        ) from error
    return cast("numpy.dtype[Any]", dtype.newbyteorder("<"))
