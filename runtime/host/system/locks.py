# SPDX-License-Identifier: Apache-2.0
"""One at a time: locks that the operating system frees when their holder ends, whatever ends it."""

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
LONGEST_HOLDER: Final = 10_000  # characters of what a holder says of itself


@contextmanager
def exclusive(path: Path, timeout_sec: float, what: str) -> Iterator[None]:
    """Hold the lock file at path, which is made when it is missing.

    what: who holds it when it is held, for the message. Raises PlatformError when that takes timeout_sec.
    """

    def held() -> PlatformError:
        return PlatformError(
            f"{what} for more than {timeout_sec:.0f} s.", f"Wait until it ends, or end it; it holds {path}."
        )

    with os.fdopen(_opened(path, os.O_WRONLY, PlatformError), "a") as file:
        _acquire(file, timeout_sec, held)
        yield


class BoardLock:
    """A board's only user on this machine, among the processes of one person.

    name: what the board is known by; see port_lock and serial_number_lock. The lock file holds the process
    id and the command line of its holder, for whoever comes second.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._file: Optional[IO[str]] = None

    def acquire(self, timeout_sec: float = 0.0) -> None:
        """Takes the board. Raises TransportError that says who holds it, when that takes timeout_sec."""
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
        """Gives the board back. Safe to call twice. The file stays: to delete it would free a lock that
        somebody has just taken."""
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
        file.seek(0)
        pid, _, command = file.read(LONGEST_HOLDER).partition("\n")
        if pid == str(os.getpid()):
            return TransportError(
                f"{self.name} is in use by this very process.",
                "Close its open transport first, or name another board.",
            )
        if not pid:  # it has the lock and has not written yet
            return TransportError(f"{self.name} is in use by another process.", "Try again.")
        return TransportError(
            f"{self.name} is in use by process {pid}: {shortened(command)}",
            f"Wait until it ends, or end it with: kill {pid}; or name another board.",
        )


def port_lock(port: str) -> BoardLock:
    """The lock of the board at a serial port, by whatever link to the port it is named."""
    return BoardLock(os.path.realpath(port))


def serial_number_lock(serial_number: str) -> BoardLock:
    """The lock of a board that is known by the serial number of its probe, as flashing does."""
    return BoardLock(f"the board with serial number {serial_number}")


def _opened(path: Path, access: int, failure: Type[PlatformError]) -> int:
    """Return a descriptor of the lock file, which is made when it is missing. Raises failure."""
    try:
        return open_regular(path, access | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise failure(
            f"The lock file {path} cannot be opened: {reason_of(error)}.",
            "Delete it; it is made again.",
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
    """A directory of this person's own, the same for all their processes whatever is in their environment."""
    path = Path("/tmp") / f"microtvm-locks-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise TransportError(
            f"{path} belongs to somebody else, and the locks of your boards should be in it.",
            "Have it deleted; it is made again.",
        )
    return path


def _file_name(name: str) -> str:
    readable = "".join(letter if letter.isalnum() else "_" for letter in name)[-40:].strip("_")
    return f"{readable}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}.lock"
