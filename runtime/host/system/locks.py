# SPDX-License-Identifier: Apache-2.0
"""Exclusive locks, which the operating system releases when their holder ends for any reason."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Callable, Final, Iterator, Optional, Type

from runtime.host.errors import PlatformError, TransportError, reason_of
from runtime.host.system.open_files import shortened
from runtime.host.system.regular_files import open_regular

POLL_SEC: Final = 0.02
LONGEST_HOLDER: Final = 10_000  # characters of the process id and command line of a holder


@contextmanager
def exclusive(path: Path, timeout_sec: float, what: str) -> Iterator[None]:
    """Hold the lock file at a path, which is created if it is missing.

    Args:
        path: Lock file.
        timeout_sec: Longest time to wait for another holder.
        what: Clause for the error message, such as "Another build of this project has been running".

    Raises:
        PlatformError: The lock was not acquired within the timeout, or the file cannot be opened.
    """

    def held() -> PlatformError:
        return PlatformError(
            f"{what} for more than {timeout_sec:.0f} s.",
            f"Wait for the process that holds {path}, or end that process.",
        )

    with os.fdopen(_opened(path, os.O_WRONLY, PlatformError), "a") as file:
        _acquire(file, timeout_sec, held)
        yield


class BoardLock:
    """Exclusive use of a board on this machine among the processes of one user.

    The lock file contains the process id and the command line of its holder, for the error message.

    Attributes:
        name: Name of the board, from port_lock or serial_number_lock.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._file: Optional[IO[str]] = None

    def acquire(self, timeout_sec: float = 0.0) -> None:
        """Lock the board.

        Args:
            timeout_sec: Longest time to wait for another holder.

        Raises:
            TransportError: The lock was not acquired within the timeout. The message names its holder.
        """
        path = _directory() / _file_name(self.name)
        descriptor = _opened(path, os.O_RDWR, TransportError)
        file = os.fdopen(descriptor, "a+", encoding="utf-8", errors="backslashreplace")
        try:
            _acquire(file, timeout_sec, lambda: self._held(file))
            file.truncate(0)
            command = sys.orig_argv if sys.version_info >= (3, 10) else [sys.executable, *sys.argv]
            file.write(f"{os.getpid()}\n{shlex.join(command)}")
            file.flush()
        except BaseException:
            file.close()
            raise
        self._file = file

    def release(self) -> None:
        """Unlock the board. Safe to call twice.

        The file is kept: deleting it would release a lock that another process has just acquired.
        """
        file, self._file = self._file, None
        if file is not None:
            file.truncate(0)
            file.close()

    def __enter__(self) -> BoardLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _held(self, file: IO[str]) -> TransportError:
        name = self.name[:1].upper() + self.name[1:]
        file.seek(0)
        pid, _, command = file.read(LONGEST_HOLDER).partition("\n")
        if pid == str(os.getpid()):
            return TransportError(
                f"{name} is already open in this process.",
                "Close the open transport first, or choose another board.",
            )
        if not pid:  # its holder has not written the file yet
            return TransportError(f"{name} is in use by another process.", "Try again.")
        return TransportError(
            f"{name} is in use by process {pid}: {shortened(command)}.",
            f"Wait until process {pid} ends, choose another board, or end the process with: kill {pid}",
        )


def port_lock(port: str) -> BoardLock:
    """Return the lock of the board at a serial port; all links to a port share one lock."""
    return BoardLock(os.path.realpath(port))


def serial_number_lock(serial_number: str) -> BoardLock:
    """Return the lock of a board that flashing selects by the serial number of its probe."""
    return BoardLock(f"the board with serial number {serial_number}")


def _opened(path: Path, access: int, failure: Type[PlatformError]) -> int:
    """Return a descriptor of the lock file, which is created if it is missing.

    Raises:
        PlatformError: The file cannot be opened; the exception is of class `failure`.
    """
    try:
        return open_regular(path, access | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise failure(
            f"The lock file {path} cannot be opened: {reason_of(error)}.",
            "Check the permissions of its directory. A lock file may be deleted: it is recreated.",
        ) from error


def _acquire(file: IO[str], timeout_sec: float, held: Callable[[], PlatformError]) -> None:
    deadline = time.monotonic() + timeout_sec
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise held() from None
        time.sleep(POLL_SEC)


def _directory() -> Path:
    """Return the directory of the locks: owned by this user, and independent of the environment."""
    path = Path("/tmp") / f"microtvm-locks-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise TransportError(
            f"{path} is owned by another user, so board locks cannot be created.",
            "Ask the owner to delete this directory; it is recreated automatically.",
        )
    return path


def _file_name(name: str) -> str:
    readable = "".join(letter if letter.isalnum() else "_" for letter in name)[-40:].strip("_")
    return f"{readable}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}.lock"
