# SPDX-License-Identifier: Apache-2.0
"""API server of a platform whose child processes do not exit.

ALIVE_FD in the environment names a pipe that all processes of the platform hold open. Its other end reports
the end of the stream after the last of these processes has exited.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Optional

from runtime import server

ALIVE_FD = int(os.environ["ALIVE_FD"])

# Each script prints "ready" after its set-up.
CHILDREN = {
    "plain": "echo ready; exec sleep 1000",
    "with a child of its own": "sleep 1000 & echo ready; wait",
    "deaf to SIGTERM": "trap '' TERM; echo ready; while :; do sleep 1000; done",
}


def start(script: str, own_group: bool) -> subprocess.Popen[bytes]:
    # The child inherits all descriptors: ALIVE_FD, and the client's pipes unless the server closed them.
    child = subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, close_fds=False, start_new_session=own_group
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


class Handler(server.ProjectAPIHandler):
    def __init__(self) -> None:
        self._device: Optional[subprocess.Popen[bytes]] = None

    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        return server.ServerInfo("children", True, None, [])

    def generate_project(
        self,
        model_library_format_path: Path,
        standalone_crt_dir: Path,
        project_dir: Path,
        options: Dict[str, Any],
    ) -> None:
        raise NotImplementedError

    def build(self, options: Dict[str, Any]) -> None:
        self._left = start(CHILDREN[options["child"]], options["own_group"])

    def flash(self, options: Dict[str, Any]) -> None:
        try:
            os.write(ALIVE_FD, b"busy")
            subprocess.check_call(["sleep", "1000"], pass_fds=[ALIVE_FD])
        finally:
            os.write(ALIVE_FD, b" tidied")

    def open_transport(self, options: Dict[str, Any]) -> server.TransportTimeouts:
        self._device = subprocess.Popen(
            ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, pass_fds=[ALIVE_FD]
        )
        return server.TransportTimeouts(0, 0, 0)

    def close_transport(self) -> None:
        os.write(ALIVE_FD, b" closed")

    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        os.write(ALIVE_FD, b"reading")
        assert self._device is not None and self._device.stdout is not None
        return server.read_with_timeout(self._device.stdout.fileno(), n, timeout_sec)

    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        try:
            os.write(ALIVE_FD, b"busy")
            subprocess.check_call(["sleep", "1000"], pass_fds=[ALIVE_FD])
        except BaseException:
            os.write(ALIVE_FD, b" swallowed")


if __name__ == "__main__":
    server.main(Handler())
