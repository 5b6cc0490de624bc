# SPDX-License-Identifier: Apache-2.0
"""Executor that runs the graph of a model on the host, and its kernels on the device."""

from __future__ import annotations

from typing import Dict, List, Sequence

from runtime.host.archive.graph import Graph
from runtime.host.archive.model_archive import ModelArchive, TensorSpec
from runtime.host.dtype import describe
from runtime.host.errors import ArchiveError
from runtime.host.execution.device_memory import DeviceMemory
from runtime.host.execution.executor import Executor, Placed, Step
from runtime.host.execution.replies import other_model
from runtime.host.wire.messages import Handle
from runtime.host.wire.remote_tensor import RemoteTensor
from runtime.host.wire.rpc import RemoteFunction, RpcClient


class GraphExecutor(Executor):
    """Model whose graph runs on the host, and whose kernels run on the device."""

    def __init__(self, rpc: RpcClient, archive: ModelArchive) -> None:
        graph = archive.graph
        if graph is None:
            raise ArchiveError(
                "The model archive has no graph.", "Export the model again for the graph executor."
            )
        memory = DeviceMemory(rpc)
        with memory.freed_on_error():
            linked = self._linked_params(rpc, graph)
            addresses = {
                storage: linked[storage] if storage in linked else memory.allocate(size, dtype)
                for storage, (size, dtype) in graph.storage_bytes().items()
            }
            tensors = [
                RemoteTensor(addresses[entry.storage], entry.dtype, entry.shape) for entry in graph.entries
            ]
            shipped = self._ship_params(rpc, archive, graph, tensors)
            inputs = [
                Placed(_spec(name, tensors[entry]), tensors[entry])
                for name, entry in graph.arguments.items()
                if name not in shipped and graph.entries[entry].storage not in linked
            ]
            specs = archive.outputs
            outputs = [
                Placed(
                    _spec(specs[index].name if index < len(specs) else f"output{index}", tensors[entry]),
                    tensors[entry],
                )
                for index, entry in enumerate(graph.outputs)
            ]
            super().__init__(rpc, memory, inputs, outputs, self._steps_of(rpc, graph, tensors))

    @staticmethod
    def _linked_params(rpc: RpcClient, graph: Graph) -> Dict[int, int]:
        """Return the address of each storage that TVM 0.8 has linked into the code.

        The graphs of later versions contain no such storages.
        """
        lookup = rpc.module_function(rpc.system_lib(), "_lookup_linked_param")
        linked = {}
        for entry in graph.arguments.values() if lookup else ():
            storage = graph.entries[entry].storage
            address = lookup(storage) if lookup else None
            if isinstance(address, Handle) and address.value:
                linked[storage] = address.value
        return linked

    @staticmethod
    def _ship_params(
        rpc: RpcClient, archive: ModelArchive, graph: Graph, tensors: Sequence[RemoteTensor]
    ) -> List[str]:
        """Copy the archive's parameters to the device, and return the names of those in the graph."""
        shipped = []
        for name, param in archive.parameters.items():
            if name not in graph.arguments:
                continue
            tensor = tensors[graph.arguments[name]]
            if (param.dtype, param.shape) != (tensor.dtype, tensor.shape):
                raise ArchiveError(
                    f"Parameter {name!r}: expected {describe(tensor.dtype, tensor.shape)} as in the graph, "
                    f"got {describe(param.dtype, param.shape)}.",
                    "Export the model again.",
                )
            rpc.copy_to(tensor, param.data)
            shipped.append(name)
        return shipped

    @staticmethod
    def _steps_of(rpc: RpcClient, graph: Graph, tensors: Sequence[RemoteTensor]) -> List[Step]:
        library = rpc.system_lib()
        kernels: Dict[str, RemoteFunction] = {}
        for name in dict.fromkeys(call.function for call in graph.calls):
            kernel = rpc.module_function(library, name)
            if kernel is None:
                raise other_model(f"kernel {name} is missing")
            kernels[name] = kernel
        return [
            Step(
                library,
                kernels[call.function],
                tuple(tensors[entry]._replace(shape=shape) for entry, shape in call.arguments),
            )
            for call in graph.calls
        ]


def _spec(name: str, tensor: RemoteTensor) -> TensorSpec:
    return TensorSpec(name, str(tensor.dtype), tensor.shape, tensor.nbytes, name)
