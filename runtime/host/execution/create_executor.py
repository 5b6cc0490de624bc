# SPDX-License-Identifier: Apache-2.0
"""Creation of the executor for a model archive."""

from __future__ import annotations

from runtime.host.archive.model_archive import ModelArchive, entry_name, metadata_name
from runtime.host.errors import ArchiveError
from runtime.host.execution.aot_executor import AotExecutor, MainExecutor
from runtime.host.execution.executor import Executor
from runtime.host.execution.graph_executor import GraphExecutor
from runtime.host.execution.replies import other_model
from runtime.host.wire.rpc import RpcClient


def create_executor(rpc: RpcClient, archive: ModelArchive) -> Executor:
    """Return the executor for an archive.

    Args:
        rpc: Client of a device that runs the firmware of the archive.
        archive: Archive of a whole model.

    Raises:
        ArchiveError: The archive does not contain a model that can be run.
        ProtocolError: The firmware was built from another model.
    """
    if archive.executor == "graph":
        return GraphExecutor(rpc, archive)
    if archive.executor != "aot":
        raise ArchiveError("The model archive holds single operators, not a model.", "Export a whole model.")
    library = rpc.system_lib()
    if rpc.module_function(library, metadata_name(archive.module)) is None:
        name = entry_name(archive.module)
        main = rpc.module_function(library, name)
        if main is None:
            raise other_model(f"function {name} is missing")
        return MainExecutor(rpc, archive, main)
    return AotExecutor(rpc, archive)
