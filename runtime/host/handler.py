# SPDX-License-Identifier: Apache-2.0
"""The Project API of a platform, in terms of the host tools. What is needed by one method is imported there:
TVM starts the API server often and waits for its first reply.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional

from runtime import server
from runtime.host import options as option_table
from runtime.host.platform import MODEL_ARCHIVE, Platform

if TYPE_CHECKING:
    from runtime.host.project import Project
    from runtime.host.transports.buffered import ExactReader


class PlatformHandler(server.ProjectAPIHandler):
    """Serves one platform directory, or one project generated from it."""

    def __init__(self, platform: Platform) -> None:
        super().__init__()
        self._platform = platform
        self._link: Optional[ExactReader] = None

    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        platform = self._platform
        return server.ServerInfo(
            platform_name=platform.name,
            is_template=not platform.is_project,
            model_library_format_path=platform.directory / MODEL_ARCHIVE if platform.is_project else "",
            project_options=option_table.project_options(platform.boards()),
        )

    def generate_project(
        self,
        model_library_format_path: Path,
        standalone_crt_dir: Path,
        project_dir: Path,
        options: Dict[str, Any],
    ) -> None:
        from runtime.host.project import generate

        generate(self._platform, Path(model_library_format_path), Path(project_dir), self._coerce(options))

    def build(self, options: Dict[str, Any]) -> None:
        from runtime.host.build import build

        build(self._project(), verbose=bool(self._coerce(options).get("verbose")))

    def flash(self, options: Dict[str, Any]) -> None:
        from runtime.host.flash import flash

        chosen = self._coerce(options)
        flash(
            self._project(),
            serial_number=chosen.get("serial_number") or "",
            verbose=bool(chosen.get("verbose")),
        )

    def open_transport(self, options: Dict[str, Any]) -> server.TransportTimeouts:
        from runtime.host import link
        from runtime.host.transports.buffered import ExactReader

        self._coerce(options)
        self.close_transport()
        self._link = ExactReader(link.open_transport(self._project()))
        return server.TransportTimeouts(
            session_start_retry_timeout_sec=link.SESSION_START_RETRY_TIMEOUT_SEC,
            session_start_timeout_sec=link.SESSION_START_TIMEOUT_SEC,
            session_established_timeout_sec=link.SESSION_ESTABLISHED_TIMEOUT_SEC,
        )

    def close_transport(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            link.close()

    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        from runtime.host.errors import TransportClosed, TransportTimeout

        if self._link is None:
            raise server.TransportClosedError()
        try:
            return self._link.read_exact(n, timeout_sec)
        except TransportTimeout as error:
            raise server.IoTimeoutError() from error
        except TransportClosed as error:
            raise server.TransportClosedError() from error

    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        from runtime.host.errors import TransportClosed, TransportTimeout

        if self._link is None:
            raise server.TransportClosedError()
        try:
            self._link.write(data, timeout_sec)
        except TransportTimeout as error:
            raise server.IoTimeoutError() from error
        except TransportClosed as error:
            raise server.TransportClosedError() from error

    def _project(self) -> Project:
        from runtime.host.project import load_project

        return load_project(self._platform)

    def _coerce(self, options: Dict[str, Any]) -> Dict[str, Any]:
        declared = option_table.project_options(self._platform.boards())
        return server.coerce_options(declared, options)
