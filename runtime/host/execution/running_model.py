# SPDX-License-Identifier: Apache-2.0
"""A project's device with its transport, session, RPC client and executor."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.boards.attachment import BY_DEFAULT, Attachment
from runtime.host.execution import connection
from runtime.host.execution.create_executor import create_executor
from runtime.host.execution.executor import Executor
from runtime.host.execution.firmware_info import check_firmware
from runtime.host.project.project import Project
from runtime.host.transports.base import Transport
from runtime.host.wire.rpc import RpcClient
from runtime.host.wire.session import Session, Timeouts

TIMEOUTS = Timeouts(
    session_start_retry_timeout_sec=connection.SESSION_START_RETRY_TIMEOUT_SEC,
    session_start_timeout_sec=connection.SESSION_START_TIMEOUT_SEC,
    session_established_timeout_sec=connection.SESSION_ESTABLISHED_TIMEOUT_SEC,
)


@contextmanager
def connected_executor(
    archive: ModelArchive,
    transport: Transport,
    on_log: Optional[Callable[[str], None]] = None,
    timeouts: Timeouts = TIMEOUTS,
) -> Iterator[Executor]:
    """Open a session over a transport, and close it at the end; the transport stays open.

    Args:
        archive: Archive of the model in the device's firmware.
        transport: Open transport to the device.
        on_log: Function that receives the log messages of the device.
        timeouts: Timeouts of the session.

    Yields:
        Executor of the model.
    """
    session = Session(transport, timeouts=timeouts, on_log=on_log)
    session.open()
    try:
        yield create_executor(RpcClient(session), archive)
    finally:
        session.close()


@contextmanager
def running_model(
    project: Project,
    attachment: Attachment = BY_DEFAULT,
    on_log: Optional[Callable[[str], None]] = None,
) -> Iterator[Executor]:
    """Open the transport to the project's device and a session, and close both at the end.

    Args:
        project: Project with a built firmware.
        attachment: How the board is attached.
        on_log: Function that receives the log messages of the device.

    Yields:
        Executor of the project's model.

    Raises:
        DeviceError: The board runs the firmware of another project or build.
    """
    archive = project.archive
    transport = connection.open_transport(project, attachment)
    try:
        with connected_executor(archive, transport, on_log) as executor:
            if not connection.is_local(project, attachment):
                check_firmware(executor.rpc, project.settings.firmware_id)
            yield executor
    finally:
        transport.close()
