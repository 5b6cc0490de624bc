# SPDX-License-Identifier: Apache-2.0
"""Libraries in C++ that log to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final, Iterator

STDERR: Final = 2


@contextlib.contextmanager
def standard_error_discarded() -> Iterator[None]:
    """Discard what is written to file descriptor 2."""
    sys.stderr.flush()
    try:
        kept = os.dup(STDERR)
    except OSError:  # this process has no standard error
        yield
        return
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
