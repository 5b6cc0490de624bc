# SPDX-License-Identifier: Apache-2.0
"""The Project API of a platform, in terms of the host tools. What is needed by one method is imported there:
TVM starts the API server often and waits for its first reply.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, TypeVar, cast

from runtime import server
from runtime.host.project import options as option_table
from runtime.host.project.platform import Platform

Method = TypeVar("Method", bound=Callable[..., Any])

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.host.project.project import Project
    from runtime.host.transports.base import Transport


def _explains(method: Method) -> Method:
    """The method; what input can cause in it becomes an error that says what to do. With --debug the server
    prints the traceback."""

    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return method(*args, **named)
        except server.JSONRPCError:
            raise
        except Exception as error:
            from runtime.host.errors import explained, is_input_error

            if is_input_error(error):
                raise explained(error) from error
            raise  # one that explains itself, or a fault of ours, whose traceback goes along

    return cast("Method", call)


def _not_open() -> Exception:
    from runtime.host.errors import TransportClosed

    return TransportClosed("No transport to the device is open.", "Send open_transport first.")


class PlatformHandler(server.ProjectAPIHandler):
    """Serves one platform directory, or one project generated from it.

    The server has coerced every option by the declared types before a method here is called.
    """

    def __init__(self, platform: Platform) -> None:
        super().__init__()
        self._platform = platform
        self._transport: Optional[Transport] = None

    @property
    def project_options(self) -> List[server.ProjectOption]:  # type: ignore[override]
        """The options of this platform's boards. Read anew each time: a mistake in boards.json is then the
        answer to a request, and not a server that does not start."""
        return option_table.project_options(self._platform.boards())

    @_explains
    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        platform = self._platform
        return server.ServerInfo(
            platform_name=platform.name,
            is_template=not platform.is_project,
            model_library_format_path=platform.model_archive if platform.is_project else "",
            project_options=self.project_options,
        )

    @_explains
    def generate_project(
        self,
        model_library_format_path: Path,
        standalone_crt_dir: Path,
        project_dir: Path,
        options: Dict[str, Any],
    ) -> None:
        from runtime.host.project.generate import generate

        # TVM always hands its folder over, whether it is to be used or not; an empty path has no parts.
        if not options["standalone_crt_dir"] and standalone_crt_dir is not None and standalone_crt_dir.parts:
            options = {**options, "standalone_crt_dir": str(standalone_crt_dir)}
        generate(self._platform, model_library_format_path, project_dir, options)

    @_explains
    def build(self, options: Dict[str, Any]) -> None:
        from runtime.host.firmware.build import build
        from runtime.host.system.logs import show_commands

        show_commands(options["verbose"])
        build(self._project())

    @_explains
    def flash(self, options: Dict[str, Any]) -> None:
        from runtime.host.boards.attachment import Attachment
        from runtime.host.firmware.flash import flash
        from runtime.host.system.logs import show_commands

        show_commands(options["verbose"])
        flash(self._project(), Attachment.from_options(options))

    @_explains
    def open_transport(self, options: Dict[str, Any]) -> server.TransportTimeouts:
        from runtime.host.boards.attachment import Attachment
        from runtime.host.execution import connection

        self.close_transport()
        self._transport = connection.open_transport(self._project(), Attachment.from_options(options))
        return server.TransportTimeouts(
            session_start_retry_timeout_sec=connection.SESSION_START_RETRY_TIMEOUT_SEC,
            session_start_timeout_sec=connection.SESSION_START_TIMEOUT_SEC,
            session_established_timeout_sec=connection.SESSION_ESTABLISHED_TIMEOUT_SEC,
        )

    @_explains
    def close_transport(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.close()

    @_explains
    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        """What is there, as Transport.read; the server makes exactly n bytes of it and keeps the rest."""
        from runtime.host.errors import TransportClosed, TransportTimeout

        if self._transport is None:
            raise server.TransportClosedError() from _not_open()
        try:
            return self._transport.read(n, timeout_sec)
        except TransportTimeout as error:
            raise server.IoTimeoutError() from error
        except TransportClosed as error:
            raise server.TransportClosedError() from error

    @_explains
    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        from runtime.host.errors import TransportClosed, TransportTimeout

        if self._transport is None:
            raise server.TransportClosedError() from _not_open()
        try:
            self._transport.write(data, timeout_sec)
        except TransportTimeout as error:
            raise server.IoTimeoutError() from error
        except TransportClosed as error:
            raise server.TransportClosedError() from error

    @_explains
    def lend_transport(self, socket: str) -> None:
        from runtime.host.errors import TransportError
        from runtime.host.transports.passed_descriptors import lend
        from runtime.host.transports.pipe import PipeTransport

        if self._transport is None:
            raise server.TransportClosedError() from _not_open()
        own = type(self)
        if (own.read_transport, own.write_transport) != (
            PlatformHandler.read_transport,
            PlatformHandler.write_transport,
        ) or not isinstance(self._transport, PipeTransport):
            raise TransportError(
                "This platform reads and writes its device in a way of its own.",
                "Use read_transport and write_transport.",
            )
        lend(self._transport.descriptors, socket, self._transport.held)
        self._transport.held = b""

    def _project(self) -> Project:
        from runtime.host.project.project import load_project

        return load_project(self._platform)
