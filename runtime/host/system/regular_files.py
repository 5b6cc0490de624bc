# SPDX-License-Identifier: Apache-2.0
"""Reading files of a known kind and a bounded size.

A named pipe blocks whoever opens it, a device has no end, and a file may be larger than the memory. So a file
is opened without waiting, looked at, and only then read. What was looked at is what is read: the descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, Union

MAX_TEXT_BYTES: Final = 8 << 20
"""The longest file of settings that is read: boards.json, project.json, config.mk."""

MAX_CONTENT_BYTES: Final = 256 << 20
"""Most bytes of one tar, as a file and once decompressed, and of one source file. Real model archives hold
a few megabytes."""

AnyPath = Union[str, "os.PathLike[str]"]


class NotRegular(OSError):
    """The path names a directory, a pipe or a device, or a file that is too large."""


def open_regular(path: AnyPath, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """Return a descriptor of a regular file. Raises NotRegular for anything else, without waiting for it."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, mode)
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            number = errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL
            what = "is a directory" if stat.S_ISDIR(kind) else "is not a regular file"
            raise NotRegular(number, what, os.fspath(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_bytes(path: AnyPath, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes. Raises OSError."""
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1) if os.fstat(descriptor).st_size <= limit else b""
        if os.fstat(descriptor).st_size > limit or len(data) > limit:
            raise NotRegular(errno.EFBIG, f"is larger than {limit:,} bytes", os.fspath(path))
    return data


def read_text(path: AnyPath, limit: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a regular file in UTF-8, with or without a mark in front. Raises OSError,
    ValueError."""
    return read_bytes(path, limit).decode("utf-8-sig")
