# SPDX-License-Identifier: Apache-2.0
"""What the device runtime takes on a Cortex-M3: RPC server and AOT executor, no model, -Os, as linked."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import List

from benchmarks.figures import Figure, figure
from tests.device import measuring

TEXT_LIMIT = 12 * 1024
RAM_LIMIT = 1536


def measure() -> List[Figure]:
    """Bytes of code and RAM; the compiler's own helpers stand beside."""
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as scratch:
        size = measuring.measure(Path(scratch))
    beside = f"the compiler's and the C library's own: {size.compiler_text:,} B"
    return [
        figure("code and constants", "B", [size.linked_text], TEXT_LIMIT, beside=beside),
        figure("RAM beside packet buffer and workspace", "B", [size.ram], RAM_LIMIT),
        figure("largest stack frame", "B", [size.largest_frame]),
    ]
