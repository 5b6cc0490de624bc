# SPDX-License-Identifier: Apache-2.0
"""What a rule about model archives finds."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What is wrong with an archive, as the end of a sentence about it, and the next step."""

    what: str
    next_step: str
