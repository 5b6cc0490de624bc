# SPDX-License-Identifier: Apache-2.0
"""Tests with PyTorch are collected only where MICROTVM_TORCH_PYTHON names an interpreter with torch."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("MICROTVM_TORCH_PYTHON") else ["test_torch.py"]
