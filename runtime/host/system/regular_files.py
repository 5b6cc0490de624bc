# SPDX-License-Identifier: Apache-2.0
"""Reading of regular files of a limited size.

Opening a named pipe blocks, a device has no end, and a file may be larger than the memory. So a file is
opened without blocking, checked, and only then read. Check and read use one descriptor, so the file cannot be
replaced in between.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, Union

MAX_TEXT_BYTES: Final = 8 << 20
"""Largest settings file that is read: boards.json, project.json, config.mk."""

MAX_CONTENT_BYTES: Final = 256 << 20
"""Largest tar, compressed and decompressed, and largest source file. Model archives have a few megabytes."""

AnyPath = Union[str, "os.PathLike[str]"]


class NotRegular(OSError):
    """Path of a directory, a pipe or a device, or of a file that is too large."""


def open_regular(path: AnyPath, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """Return a descriptor of a regular file.

    Raises:
        NotRegular: The path is not a regular file. The check does not block.
        OSError: The file cannot be opened.
    """
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
    """Return the content of a regular file of at most `limit` bytes.

    Raises:
        NotRegular: The path is not a regular file, or the file is too large.
        OSError: The file cannot be read.
    """
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1) if os.fstat(descriptor).st_size <= limit else b""
        if os.fstat(descriptor).st_size > limit or len(data) > limit:
            raise NotRegular(errno.EFBIG, f"is larger than {limit:,} bytes", os.fspath(path))
    return data


def read_text(path: AnyPath, limit: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a regular file in UTF-8, with or without a byte order mark.

    Raises:
        OSError: The file cannot be read, is not a regular file or is too large.
        ValueError: The file is not valid UTF-8.
    """
    return read_bytes(path, limit).decode("utf-8-sig")
