# SPDX-License-Identifier: Apache-2.0
"""The executor that a model archive was made for."""

from __future__ import annotations

from runtime.host.archive.model_archive import ModelArchive, entry_name, metadata_name
from runtime.host.errors import ArchiveError
from runtime.host.execution.aot_executor import AotExecutor, MainExecutor
from runtime.host.execution.executor import Executor
from runtime.host.execution.graph_executor import GraphExecutor
from runtime.host.execution.replies import other_model
from runtime.host.wire.rpc import RpcClient


def create_executor(rpc: RpcClient, archive: ModelArchive) -> Executor:
    """The executor that the archive was made for, on a device that runs its firmware."""
    if archive.executor == "graph":
        return GraphExecutor(rpc, archive)
    if archive.executor != "aot":
        raise ArchiveError(
            "The model archive holds single operators, not a model.", "Export a whole model to run one."
        )
    library = rpc.system_lib()
    if rpc.module_function(library, metadata_name(archive.module)) is None:
        name = entry_name(archive.module)
        main = rpc.module_function(library, name)
        if main is None:
            raise other_model(f"it has no {name}")
        return MainExecutor(rpc, archive, main)
    return AotExecutor(rpc, archive)
