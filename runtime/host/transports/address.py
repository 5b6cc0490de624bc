# SPDX-License-Identifier: Apache-2.0
"""Addresses of TCP, as people and boards.json write them: HOST:PORT."""

from __future__ import annotations

import re
from typing import Final, Optional, Tuple

_ADDRESS: Final = re.compile(r"(?P<host>[^/:]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})")


def parse_address(text: str) -> Optional[Tuple[str, int]]:
    """Return host and port of HOST:PORT, or None for another string, such as the path of a serial port.

    An IPv6 host is written in brackets and returned without them. The port has up to five digits.
    """
    matched = _ADDRESS.fullmatch(text)
    return None if matched is None else (matched["host"].strip("[]"), int(matched["port"]))
