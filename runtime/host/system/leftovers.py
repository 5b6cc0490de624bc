# SPDX-License-Identifier: Apache-2.0
"""Scratch directories, and removal of those that killed processes have left.

The process that creates a scratch directory locks it (flock) while it uses the directory. The kernel releases
the lock when the process ends for any reason. This also works across containers, where process ids are not
unique. If a directory whose name matches NAMES is not locked, the next run removes it. If the file system
has no locks, nothing is removed.
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

STAGING: Final = ".microtvm-new-"  # in the parent of the project, and renamed to it
CHECK: Final = "microtvm-check-"
SERVE: Final = "microtvm-serve-"
NAMES: Final = re.compile(rf"(?:{re.escape(STAGING)}|{CHECK}|{SERVE})[0-9a-f]{{16}}")

HOLD_TRIES: Final = 50
HOLD_PAUSE_SEC: Final = 0.02

_held: Dict[str, int] = {}  # directory locked by this process -> descriptor


@contextlib.contextmanager
def scratch_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a directory with a unique name, and remove it at the end unless it has been renamed.

    Directories that killed processes have left in the same parent are removed first.

    Args:
        parent: Existing directory.
        prefix: STAGING, CHECK or SERVE.
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
        except FileNotFoundError:  # removed by another process before it was locked
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process is removing it
            os.close(lock)
            continue
        except OSError:  # the file system has no locks
            return path, lock
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), os.fstat(lock)):
                return path, lock
        os.close(lock)


@contextlib.contextmanager
def made_directories(path: Path) -> Iterator[None]:
    """Create a directory and its parents; remove the created ones if the block fails."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for each in missing:
            with contextlib.suppress(OSError):  # another process has created files in it
                each.rmdir()
        raise


def find_leftovers(parent: Path) -> List[Path]:
    """Return the scratch directories of ended processes; none if the parent is unreadable."""
    found = []
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if NAMES.fullmatch(entry.name) and is_unused(Path(entry.path)):
                found.append(Path(entry.path))
    return sorted(found)


def remove_leftovers(parent: Path) -> List[Path]:
    """Remove the scratch directories of ended processes, and return the removed ones."""
    removed = []
    for path in find_leftovers(parent):
        if remove_unused(path):
            removed.append(path)
    return removed


def temporary_directory() -> Path:
    """Return the parent of the scratch directories of `check` and `serve`."""
    return Path(tempfile.gettempdir())


def is_unused(path: Path) -> bool:
    """Return whether a directory of this user exists that no process has locked."""
    lock = _lock_unused(path)
    if lock is None:
        return False
    os.close(lock)
    return True


def remove_unused(path: Path) -> bool:
    """Remove a directory unless a process has locked it; return whether it is gone."""
    lock = _lock_unused(path)
    if lock is None:
        return False
    try:
        _remove(path)
    finally:
        os.close(lock)
    return not path.exists()


def hold(directory: Path) -> None:
    """Lock a project until this process ends, so that `clean` does not remove the project.

    Args:
        directory: Directory of the project. Nothing happens if it cannot be locked.
    """
    name = str(directory)
    with contextlib.suppress(OSError):
        known = _held.get(name)
        if known is not None:
            if os.path.samestat(os.stat(name), os.fstat(known)):  # noqa: PTH116
                return
            os.close(_held.pop(name))
        lock = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _held[name] = lock
        for _ in range(HOLD_TRIES):  # another process may be checking the lock
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(HOLD_PAUSE_SEC)


def _lock_unused(path: Path) -> Optional[int]:
    """Return the locked descriptor of a directory of this user; None if another process has locked it."""
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
    """Remove a directory with all its content, including copied directories without write permission."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for directory, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(directory, 0o700)  # noqa: PTH101
        shutil.rmtree(path, ignore_errors=True)
