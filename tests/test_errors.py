# SPDX-License-Identifier: Apache-2.0
"""Errors of the operating system, converted to a reason that ends a sentence."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from runtime.host.errors import explained, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EACCES, os.strerror(errno.EACCES), "boards.json"), "Permission denied"),
        (ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (socket.timeout("timed out"), "timed out"),
        (PermissionError("it came from another user"), "it came from another user"),
        (BrokenPipeError(), "BrokenPipeError"),
    ],
)
def test_the_reason_of_an_os_error_is_never_empty(error: OSError, reason: str) -> None:
    assert reason_of(error) == reason


def test_the_file_of_an_os_error_is_named() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.npz")
    assert explained(error).what == "out.npz: No space left on device."
