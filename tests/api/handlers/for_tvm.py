# SPDX-License-Identifier: Apache-2.0
"""Handler written for TVM's own module, which uses its helpers, errors, logging and annotations."""

import logging
import os
import pathlib
import subprocess
import sys
import typing

from tvm.micro.project_api import server

_LOG = logging.getLogger(__name__)

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE / "model.tar"
IS_TEMPLATE = not MODEL.exists()

PROJECT_OPTIONS = [
    *server.default_project_options(
        project_type={"choices": ("host_driven",)},
        board={"choices": ("cat",), "optional": ["open_transport"]},
        verbose={"optional": ["build"]},
    ),
    server.ProjectOption(
        "port",
        optional=["open_transport"],
        type="int",
        default=None,
        help="A serial port, which this platform wrongly calls a number.",
    ),
    server.ProjectOption("speed", required=["flash"], type="int", help="Speed of flashing."),
]


class NoSuchBoard(server.ServerError):  # type: ignore[misc]  # of TVM, which has no types
    """Error that clients recognise by its class name."""


class Handler(server.ProjectAPIHandler):  # type: ignore[misc]  # of TVM, which has no types
    def __init__(self) -> None:
        super().__init__()
        self._proc: typing.Optional[subprocess.Popen[bytes]] = None

    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        _LOG.info("queried by %s", tvm_version)
        return server.ServerInfo(
            platform_name="for_tvm",
            is_template=IS_TEMPLATE,
            model_library_format_path="" if IS_TEMPLATE else MODEL,
            project_options=PROJECT_OPTIONS,
        )

    def generate_project(
        self,
        model_library_format_path: pathlib.Path,
        standalone_crt_dir: pathlib.Path,
        project_dir: pathlib.Path,
        options: typing.Dict[str, typing.Any],
    ) -> None:
        project_dir.mkdir()
        (project_dir / "origin").write_text(f"{model_library_format_path.name} {standalone_crt_dir.name}")

    def build(self, options: typing.Dict[str, typing.Any]) -> None:
        try:
            subprocess.run(["false"], check=True)
        except subprocess.CalledProcessError as exc:
            raise server.ServerError.from_exception(exc, message="the build failed") from None

    def flash(self, options: typing.Dict[str, typing.Any]) -> None:
        if options["speed"] == "0":
            raise server.JSONRPCError(server.ErrorCode.INVALID_PARAMS, "speed: want more than 0", None)
        raise NoSuchBoard(data={"boards": []})

    def open_transport(self, options: typing.Dict[str, typing.Any]) -> server.TransportTimeouts:
        assert options["port"] == "/dev/ttyACM0", options  # not converted to the declared number
        self._proc = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._proc.stdin is not None and self._proc.stdout is not None
        os.set_blocking(self._proc.stdin.fileno(), False)
        os.set_blocking(self._proc.stdout.fileno(), False)
        return server.TransportTimeouts(
            session_start_retry_timeout_sec=0,
            session_start_timeout_sec=300.0,
            session_established_timeout_sec=0,
        )

    def close_transport(self) -> None:
        if self._proc is None:
            return
        proc, self._proc = self._proc, None
        assert proc.stdin is not None
        proc.stdin.close()
        proc.wait()

    def read_transport(
        self,
        n: int,
        timeout_sec: typing.Union[float, type(None)],  # type: ignore[valid-type]  # so TVM's templates have it
    ) -> bytes:
        if self._proc is None:
            raise server.TransportClosedError()
        assert self._proc.stdout is not None
        data: bytes = server.read_with_timeout(self._proc.stdout.fileno(), n, timeout_sec)
        return data

    def write_transport(self, data: bytes, timeout_sec: float) -> None:
        if self._proc is None:
            raise server.TransportClosedError()
        assert self._proc.stdin is not None
        to_write = bytearray(data)
        while to_write:
            written = server.write_with_timeout(self._proc.stdin.fileno(), to_write, timeout_sec)
            to_write = to_write[written:]


if __name__ == "__main__":
    server.main(Handler(), argv=sys.argv[1:])
