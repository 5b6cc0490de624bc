# SPDX-License-Identifier: Apache-2.0
"""Executors of models whose code runs them as a whole."""

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
    """A model whose code runs it as a whole, through the AOT executor of the device."""

    def __init__(self, rpc: RpcClient, archive: ModelArchive) -> None:
        create = rpc.get_function("tvm.aot_executor.create")
        module = create(rpc.system_lib(), CPU, archive.module)
        if not isinstance(module, Handle):
            raise unexpected_reply("tvm.aot_executor.create")
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
            raise unexpected_reply(f"the AOT executor, which has no {name},")
        return function

    def _places(self, rpc: RpcClient, getter: str, counter: str, specs: Sequence[TensorSpec]) -> List[Placed]:
        """The tensors of the device's executor. They live as long as it does, so their handles are given
        back."""
        get = self._function(rpc, getter)
        count = self._function(rpc, counter)()
        if count != len(specs):
            raise other_model(f"{counter} is {count!r}, and the archive has {len(specs)}")
        places = []
        for index, spec in enumerate(specs):
            tensor = get(index)
            if not isinstance(tensor, RemoteTensor):
                raise unexpected_reply(getter)
            rpc.free(tensor)
            if tensor.nbytes != spec.size_bytes or str(tensor.dtype) != spec.dtype:
                raise other_model(
                    f"{spec.name} is {describe(tensor.dtype, tensor.shape)} on the device, and in the "
                    f"archive {spec.dtype} of {spec.size_bytes} bytes"
                )
            places.append(Placed(spec._replace(shape=tensor.shape), tensor))
        return places


class MainExecutor(Executor):
    """A model whose code runs it as a whole but does not describe it: its main function, called directly.

    This is what the LLVM code generator makes. The host allocates the tensors by what the archive says.
    """

    def __init__(self, rpc: RpcClient, archive: ModelArchive, main: RemoteFunction) -> None:
        finding = llvm_arguments(archive)
        if finding is not None:
            raise ArchiveError(f"The model archive {archive.path} {finding.what}.", finding.next_step)
        memory = DeviceMemory(rpc)
        specs = [*archive.inputs, *archive.outputs]
        with memory.freed_on_error():
            tensors = [memory.tensor(DType.parse(spec.dtype), spec.shape or ()) for spec in specs]
            pools = [
                memory.tensor(DType.parse("uint8"), (_pool_bytes(archive.workspace_size_bytes),))
                for _ in (archive.main.names if archive.main else ())[
                    len(specs) :
                ]  # project/code_rules.py: workspace
            ]
            places = [Placed(spec, tensor) for spec, tensor in zip(specs, tensors)]
            split = len(archive.inputs)
            step = Step(rpc.system_lib(), main, (*tensors, *pools))
            super().__init__(rpc, memory, places[:split], places[split:], [step])
        self.doubt([*tensors[split:], *pools])


def _pool_bytes(declared: int) -> int:
    """Bytes to allocate for the one pool that the memory planner left to the caller.

    The planner sizes buffers before loops are vectorised; a vectorised kernel may then write whole vectors
    beyond the end that was planned: 56 bytes of a pool of 36 were seen. One more vector, of the widest kind
    that there is on a CPU (64 bytes), and the next whole one keep such writes inside the pool.
    """
    return (declared // 64 + 2) * 64
