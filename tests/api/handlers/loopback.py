# SPDX-License-Identifier: Apache-2.0
"""API server of a platform whose device is `cat`, which sends back all that it receives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Optional

from runtime import server


class Handler(server.ProjectAPIHandler):
    project_options = server.default_project_options(board={"choices": ["cat"], "default": "cat"})

    def __init__(self) -> None:
        self._device: Optional[subprocess.Popen[bytes]] = None

    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        if tvm_version == "0.1":
            raise server.UnsupportedTVMVersionError()
        return server.ServerInfo("loopback", True, None, self.project_options)

    def generate_project(
        self,
        model_library_format_path: Path,
        standalone_crt_dir: Path,
        project_dir: Path,
        options: Dict[str, Any],
    ) -> None:
        project_dir.mkdir()
        (project_dir / "options.txt").write_text(repr(sorted(options.items())))

    def build(self, options: Dict[str, Any]) -> None:
        print("building; this goes to the user")
        if options["verbose"]:
            raise ValueError("the compiler is missing")

    def flash(self, options: Dict[str, Any]) -> None:
        subprocess.check_call(["sh", "-c", "exit 3"])

    def open_transport(self, options: Dict[str, Any]) -> server.TransportTimeouts:
        self._device = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._device.stdin is not None and self._device.stdout is not None
        os.set_blocking(self._device.stdin.fileno(), False)
        os.set_blocking(self._device.stdout.fileno(), False)
        return server.TransportTimeouts(1.0, 2.0, 3.0)

    def close_transport(self) -> None:
        if self._device is not None:
            device, self._device = self._device, None
            assert device.stdin is not None and device.stdout is not None
            device.stdin.close()
            device.stdout.close()
            device.wait()

    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        if self._device is None:
            raise server.TransportClosedError()
        assert self._device.stdout is not None
        return server.read_with_timeout(self._device.stdout.fileno(), n, timeout_sec)

    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        if self._device is None:
            raise server.TransportClosedError()
        if data == b"die":
            self._device.kill()
            return
        assert self._device.stdin is not None
        server.write_with_timeout(self._device.stdin.fileno(), data, timeout_sec)


if __name__ == "__main__":
    if "--own-argv" in sys.argv:
        argv = [word for word in sys.argv[1:] if word != "--own-argv"]
        sys.argv[1:] = ["--nonsense"]
        server.main(Handler(), argv)
    else:
        server.main(Handler())
