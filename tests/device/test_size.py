# SPDX-License-Identifier: Apache-2.0
"""The device runtime stays small enough for the smallest boards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.device.measuring import available, measure


@pytest.mark.slow
def test_text_ram_and_stack_on_a_cortex_m3(tmp_path: Path) -> None:
    if not available():
        assert not os.environ.get("CI"), "CI must have arm-none-eabi-gcc"
        pytest.skip("arm-none-eabi-gcc is not installed (Debian: gcc-arm-none-eabi)")
    size = measure(tmp_path)
    assert size.objects_text <= 12 * 1024
    assert size.linked_text <= size.objects_text
    assert size.ram <= 1536
    assert size.largest_frame <= 256, "calls are some five deep: a kilobyte of stack in all"
