# SPDX-License-Identifier: Apache-2.0
"""Which tests of builds there are on this machine."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("MICROTVM_STANDALONE_CRT_DIR") else ["test_tvm_runtime.py"]
