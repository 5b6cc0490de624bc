# SPDX-License-Identifier: Apache-2.0
"""The Project API of a platform, implemented with the host tools.

TVM starts the API server often and waits for its first reply. A module that only one method needs is
therefore imported in that method.
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
    """Return the method with exceptions of invalid input converted to a PlatformError.

    With --debug the server prints the traceback.
    """

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
            raise  # a PlatformError, or an internal error, which is reported with its traceback

    return cast("Method", call)


def _not_open() -> Exception:
    from runtime.host.errors import TransportClosed

    return TransportClosed("The transport to the device is not open.", "Send open_transport first.")


class PlatformHandler(server.ProjectAPIHandler):
    """Handler of one platform directory, or of one project that was generated from it.

    The server coerces all options to their declared types before it calls a method.
    """

    def __init__(self, platform: Platform) -> None:
        super().__init__()
        self._platform = platform
        self._transport: Optional[Transport] = None

    @property
    def project_options(self) -> List[server.ProjectOption]:  # type: ignore[override]
        """Project options of this platform's boards.

        boards.json is read at every access: a mistake in the file is then an error reply to a request, and
        does not prevent the start of the server.
        """
        return option_table.project_options(self._platform.boards())

    @_explains
    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        """Return a description of this platform or project. Every version of TVM is accepted."""
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
        """Generate a project in project_dir from a model archive."""
        from runtime.host.project.generate import generate

        # TVM always sends the directory of its C runtime, even if no option requests that runtime.
        if not options["standalone_crt_dir"] and standalone_crt_dir is not None and standalone_crt_dir.parts:
            options = {**options, "standalone_crt_dir": str(standalone_crt_dir)}
        generate(self._platform, model_library_format_path, project_dir, options)

    @_explains
    def build(self, options: Dict[str, Any]) -> None:
        """Build the firmware of the project."""
        from runtime.host.firmware.build import build
        from runtime.host.system.logs import show_commands

        show_commands(options["verbose"])
        build(self._project())

    @_explains
    def flash(self, options: Dict[str, Any]) -> None:
        """Flash the firmware to the project's board."""
        from runtime.host.boards.attachment import Attachment
        from runtime.host.firmware.flash import flash
        from runtime.host.system.logs import show_commands

        show_commands(options["verbose"])
        flash(self._project(), Attachment.from_options(options))

    @_explains
    def open_transport(self, options: Dict[str, Any]) -> server.TransportTimeouts:
        """Open the transport to the project's device, and return the timeouts of a session."""
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
        """Close the transport; do nothing if no transport is open."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.close()

    @_explains
    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        """Return 1 to n bytes as soon as any are available; the server collects exactly n bytes."""
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
        """Send all of `data` to the device."""
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
        """Send the descriptors of the open device to the client that listens on `socket`.

        A subclass that overrides read_transport or write_transport cannot lend its transport: the client
        would bypass these methods.
        """
        from runtime.host.errors import TransportError
        from runtime.host.transports.passed_descriptors import send_descriptors
        from runtime.host.transports.pipe import PipeTransport

        if self._transport is None:
            raise server.TransportClosedError() from _not_open()
        own = type(self)
        if (own.read_transport, own.write_transport) != (
            PlatformHandler.read_transport,
            PlatformHandler.write_transport,
        ) or not isinstance(self._transport, PipeTransport):
            raise TransportError(
                "The transport cannot be lent: this platform overrides read_transport or write_transport, or "
                "uses a transport without descriptors.",
                "Use read_transport and write_transport.",
            )
        send_descriptors(self._transport.descriptors, socket, self._transport.held)
        self._transport.held = b""

    def _project(self) -> Project:
        from runtime.host.project.project import load_project

        return load_project(self._platform)
