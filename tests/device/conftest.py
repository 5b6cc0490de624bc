# SPDX-License-Identifier: Apache-2.0
"""Devices for the tests: one inside of the test process, and programs with real models."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from tests.device.building import (
    DATA,
    HERE,
    INCLUDES,
    LIBRARY,
    SANITIZED,
    STRICT,
    build_firmware,
    compile_library,
    run,
)
from tests.device.wire import NORMAL, REPLY, Client, unframe


class MemoryDevice(Client):
    """Device runtime as a library of this process. Its system library is lab_model.c."""

    def __init__(self, library: ctypes.CDLL) -> None:
        super().__init__()
        self.library = library
        library.harness_output.restype = ctypes.POINTER(ctypes.c_uint8)
        library.mtvm_error_text.restype = ctypes.c_char_p

    def reset(self, packet_buffer: int = 2048, workspace: int = 1 << 16, nonce: int = 0x5A) -> bytes:
        """Reset the device, and return the bytes that it sends.

        Args:
            packet_buffer: Size of the packet buffer, in bytes.
            workspace: Size of the workspace, in bytes.
            nonce: Value of the device's random byte.
        """
        ctypes.c_uint8.in_dll(self.library, "harness_nonce").value = nonce
        self.set_timer(-1.0)
        self.library.lab_set_names(None, 0)
        assert self.library.harness_reset(ctypes.c_size_t(packet_buffer), ctypes.c_size_t(workspace)) == 0
        self.session = 0
        self.logs.clear()
        return self.output()

    def set_timer(self, seconds: float, error: int = 0) -> None:
        ctypes.c_double.in_dll(self.library, "harness_seconds").value = seconds
        ctypes.c_int.in_dll(self.library, "harness_timer_error").value = error

    def feed(self, data: bytes) -> bytes:
        """Feed bytes to the device, and return the bytes that it sends."""
        self.library.harness_feed(data, ctypes.c_size_t(len(data)))
        return self.output()

    def output(self) -> bytes:
        size = ctypes.c_size_t()
        data = self.library.harness_output(ctypes.byref(size))
        out = bytes(data[: size.value])
        self.library.harness_clear()
        return out

    def exchange(self, data: bytes, replies: int) -> List[bytes]:
        payloads, rest = unframe(self.feed(data))
        assert rest == b""
        return payloads


class ProcessDevice(Client):
    """Firmware that runs as a process."""

    def __init__(self, program: Path) -> None:
        super().__init__()
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._rest = b""

    def exchange(self, data: bytes, replies: int) -> List[bytes]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()
        out: List[bytes] = []
        while sum(payload[2] in (NORMAL, REPLY) for payload in out) < replies:
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            assert part, f"the device exited with status {self.process.wait()}"
            payloads, self._rest = unframe(self._rest + part)
            out += payloads
        return out

    def close(self) -> int:
        """Close the link, and return the exit status of the process."""
        self.process.communicate()
        return self.process.wait()


@pytest.fixture(scope="session")
def device_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    target = tmp_path_factory.mktemp("device") / "device.so"
    # -Bsymbolic: TVM, if a test of this process has imported it, exports functions of the same names.
    run(["gcc", *STRICT, *SANITIZED, "-fPIC", "-shared", "-Wl,-Bsymbolic", *INCLUDES, f"-I{HERE}",
         *LIBRARY, HERE / "harness.c", HERE / "lab_model.c", "-o", target])  # fmt: skip
    return ctypes.CDLL(str(target))


@pytest.fixture()
def device(device_library: ctypes.CDLL) -> MemoryDevice:
    """Return a device with an open session."""
    device = MemoryDevice(device_library)
    device.reset()
    device.open()
    return device


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """Return the objects of the device runtime for this machine."""
    return compile_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory, library: List[Path]) -> Callable[[str], Path]:
    """Return a function that builds the program of an archive in tests/data. Each program is built once."""
    built: Dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in built:
            folder = "models" if (DATA / "models" / f"{name}.tar").exists() else "archives"
            archive = DATA / folder / f"{name}.tar"
            built[name] = build_firmware(archive, tmp_path_factory.mktemp(name), library)
        return built[name]

    return build


@pytest.fixture()
def start(firmware: Callable[[str], Path]) -> Iterator[Callable[[str], ProcessDevice]]:
    """Yield a function that starts the firmware of an archive and opens a session."""
    running: List[ProcessDevice] = []

    def started(name: str) -> ProcessDevice:
        running.append(ProcessDevice(firmware(name)))
        running[-1].open()
        return running[-1]

    yield started
    for device in running:
        if device.process.poll() is None:
            device.close()
