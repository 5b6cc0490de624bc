# SPDX-License-Identifier: Apache-2.0
"""TVM's tracker: prints its port and runs until its parent ends it."""

import contextlib
import signal
import sys

from tvm.rpc.tracker import Tracker

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
tracker = Tracker("127.0.0.1", port=19190, port_end=19990, silent=True)
print(tracker.port, flush=True)
try:
    signal.pause()
finally:
    with contextlib.suppress(OSError):  # the tracker may have received the same signal
        tracker.terminate()
