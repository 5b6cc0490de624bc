# SPDX-License-Identifier: Apache-2.0
"""Selection of the build tests that this machine can run."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("MICROTVM_STANDALONE_CRT_DIR") else ["test_tvm_runtime.py"]
