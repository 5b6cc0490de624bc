# SPDX-License-Identifier: Apache-2.0
"""Executors of models whose generated code runs the whole model."""

from __future__ import annotations

from typing import List, Sequence

from runtime.host.archive.model_archive import ModelArchive, TensorSpec
from runtime.host.dtype import DType, describe
from runtime.host.errors import ArchiveError
from runtime.host.execution.device_memory import DeviceMemory
from runtime.host.execution.executor import Executor, Placed, Step
from runtime.host.execution.replies import other_model, unexpected_reply
from runtime.host.project.code_rules import llvm_arguments
from runtime.host.wire.messages import Handle
from runtime.host.wire.remote_tensor import CPU, RemoteTensor
from runtime.host.wire.rpc import RemoteFunction, RpcClient


class AotExecutor(Executor):
    """Model that the AOT executor of the device runs."""

    def __init__(self, rpc: RpcClient, archive: ModelArchive) -> None:
        create = rpc.get_function("tvm.aot_executor.create")
        module = create(rpc.system_lib(), CPU, archive.module)
        if not isinstance(module, Handle):
            raise unexpected_reply("tvm.aot_executor.create did not return a module")
        self._module = module
        outputs = self._places(rpc, "get_output", "get_num_outputs", archive.outputs)
        super().__init__(
            rpc,
            DeviceMemory(rpc),
            self._places(rpc, "get_input", "get_num_inputs", archive.inputs),
            outputs,
            [Step(module, self._function(rpc, "run"))],
        )
        if not archive.is_followed:
            self.doubt([place.tensor for place in outputs])

    def _function(self, rpc: RpcClient, name: str) -> RemoteFunction:
        function = rpc.module_function(self._module, name)
        if function is None:
            raise unexpected_reply(f"the AOT executor has no function {name!r}")
        return function

    def _places(self, rpc: RpcClient, getter: str, counter: str, specs: Sequence[TensorSpec]) -> List[Placed]:
        """Return the tensors of the device's executor.

        The executor owns the tensors, so the host frees the handles immediately.

        Args:
            rpc: Client of the device.
            getter: Function of the executor that returns the tensor of an index.
            counter: Function of the executor that returns the number of tensors.
            specs: Tensors that the archive declares.
        """
        get = self._function(rpc, getter)
        count = self._function(rpc, counter)()
        if count != len(specs):
            raise other_model(f"expected {len(specs)} from {counter}, got {count!r}")
        places = []
        for index, spec in enumerate(specs):
            tensor = get(index)
            if not isinstance(tensor, RemoteTensor):
                raise unexpected_reply(f"{getter} did not return a tensor")
            rpc.free(tensor)
            if tensor.nbytes != spec.size_bytes or str(tensor.dtype) != spec.dtype:
                raise other_model(
                    f"{spec.name}: expected {spec.dtype} of {spec.size_bytes} bytes, got "
                    f"{describe(tensor.dtype, tensor.shape)}"
                )
            places.append(Placed(spec._replace(shape=tensor.shape), tensor))
        return places


class MainExecutor(Executor):
    """Model whose main function the host calls directly, because the code contains no metadata.

    The LLVM code generator produces such code. The host allocates the tensors that the archive declares.
    """

    def __init__(self, rpc: RpcClient, archive: ModelArchive, main: RemoteFunction) -> None:
        finding = llvm_arguments(archive)
        if finding is not None:
            raise ArchiveError(f"The model archive {archive.path} {finding.what}.", finding.next_step)
        memory = DeviceMemory(rpc)
        specs = [*archive.inputs, *archive.outputs]
        with memory.freed_on_error():
            tensors = [memory.tensor(DType.parse(spec.dtype), spec.shape or ()) for spec in specs]
            # Arguments after the tensors are workspace pools (project/code_rules.py).
            pools = [
                memory.tensor(DType.parse("uint8"), (_pool_bytes(archive.workspace_size_bytes),))
                for _ in (archive.main.names if archive.main else ())[len(specs) :]
            ]
            places = [Placed(spec, tensor) for spec, tensor in zip(specs, tensors)]
            split = len(archive.inputs)
            step = Step(rpc.system_lib(), main, (*tensors, *pools))
            super().__init__(rpc, memory, places[:split], places[split:], [step])
        self.doubt([*tensors[split:], *pools])


def _pool_bytes(declared: int) -> int:
    """Return the bytes to allocate for the one pool that the memory planner leaves to the caller.

    The planner computes sizes before loops are vectorised. A vectorised kernel may then write whole vectors
    beyond the planned end: 56 bytes in a pool of 36 bytes were observed. The result is rounded up to whole
    vectors of the widest kind on a CPU (64 bytes), plus one more vector, so such writes stay inside the pool.

    Args:
        declared: Size of the pool in the archive, in bytes.
    """
    return (declared // 64 + 2) * 64
