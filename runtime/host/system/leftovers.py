# SPDX-License-Identifier: Apache-2.0
"""Scratch directories, and those that killed processes have left behind.

A scratch directory is locked (flock) by the process that made it, for as long as that uses it. The kernel
frees the lock when the process ends, whatever ends it; also across containers, where process ids tell
nothing. So a directory with a name of ours whose lock is free belongs to nobody, and the next run removes it.
Where the file system has no locks nothing is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Dict, Final, Iterator, List, Optional, Tuple

STAGING: Final = ".microtvm-new-"  # beside the project that it becomes
CHECK: Final = "microtvm-check-"
SERVE: Final = "microtvm-serve-"
NAMES: Final = re.compile(rf"(?:{re.escape(STAGING)}|{CHECK}|{SERVE})[0-9a-f]{{16}}")

HOLD_TRIES: Final = 50
HOLD_PAUSE_SEC: Final = 0.02

_held: Dict[str, int] = {}  # what this process has announced to use, with the descriptor that says so


@contextlib.contextmanager
def scratch_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a directory with a name of its own, and remove it at the end unless it has been renamed.

    prefix: STAGING, CHECK or SERVE. Removes what killed processes have left in the same place first.
    """
    remove_leftovers(parent)
    path, lock = _make(parent, prefix)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), os.fstat(lock)):
                _remove(path)
        os.close(lock)


def _make(parent: Path, prefix: str) -> Tuple[Path, int]:
    while True:
        path = parent / f"{prefix}{os.urandom(8).hex()}"
        path.mkdir(mode=0o700 if prefix != STAGING else 0o777)
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # another process has found it unlocked, and has removed it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process has found it unlocked, and removes it
            os.close(lock)
            continue
        except OSError:  # no locks here
            return path, lock
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), os.fstat(lock)):
                return path, lock
        os.close(lock)


@contextlib.contextmanager
def made_directories(path: Path) -> Iterator[None]:
    """Make a directory with its parents; remove those that were made where the block fails."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for each in missing:
            with contextlib.suppress(OSError):  # somebody else has put something there
                each.rmdir()
        raise


def find_leftovers(parent: Path) -> List[Path]:
    """Return the scratch directories of processes that have ended. An unreadable parent has none."""
    found = []
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if NAMES.fullmatch(entry.name) and is_unused(Path(entry.path)):
                found.append(Path(entry.path))
    return sorted(found)


def remove_leftovers(parent: Path) -> List[Path]:
    """Remove the scratch directories of processes that have ended, and return them."""
    removed = []
    for path in find_leftovers(parent):
        if remove_unused(path):
            removed.append(path)
    return removed


def temporary_directory() -> Path:
    """Return where `check` and `serve` have their scratch directories."""
    return Path(tempfile.gettempdir())


def is_unused(path: Path) -> bool:
    """Return whether a directory of this user is there that no process holds."""
    lock = _lock_unused(path)
    if lock is None:
        return False
    os.close(lock)
    return True


def remove_unused(path: Path) -> bool:
    """Remove a directory unless a process holds it; return whether it is gone."""
    lock = _lock_unused(path)
    if lock is None:
        return False
    try:
        _remove(path)
    finally:
        os.close(lock)
    return not path.exists()


def hold(directory: Path) -> None:
    """Announce for the rest of this process that it uses a project, so that `clean` leaves it."""
    name = str(directory)
    with contextlib.suppress(OSError):
        known = _held.get(name)
        if known is not None:
            if os.path.samestat(os.stat(name), os.fstat(known)):  # noqa: PTH116
                return
            os.close(_held.pop(name))
        lock = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _held[name] = lock
        for _ in range(HOLD_TRIES):  # another process may be looking whether it is used
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(HOLD_PAUSE_SEC)


def _lock_unused(path: Path) -> Optional[int]:
    """Return the descriptor of a directory of this user, locked; None where another process holds it."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(lock)
        if status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _remove(path: Path) -> None:
    """Remove a directory with all that is in it, also directories that were copied without a right to
    write."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for directory, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(directory, 0o700)  # noqa: PTH101
        shutil.rmtree(path, ignore_errors=True)
