# SPDX-License-Identifier: Apache-2.0
"""One at a time: a lock that the operating system frees when its holder ends, whatever ends it."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Iterator

from runtime.host.errors import PlatformError

POLL_SEC: Final = 0.02


@contextmanager
def exclusive(path: Path, timeout_sec: float, what: str) -> Iterator[None]:
    """Hold the lock file at path, which is made when it is missing.

    what: who holds it when it is held, for the message. Raises PlatformError when that takes timeout_sec.
    """
    deadline = time.monotonic() + timeout_sec
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise PlatformError(
                        f"{what} for more than {timeout_sec:.0f} s.",
                        f"Wait until it ends, or end it; it holds {path}.",
                    ) from None
            time.sleep(POLL_SEC)
        yield
