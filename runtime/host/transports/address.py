# SPDX-License-Identifier: Apache-2.0
"""TCP addresses in the form HOST:PORT, as in boards.json and on the command line."""

from __future__ import annotations

import re
from typing import Final, Optional, Tuple

_ADDRESS: Final = re.compile(r"(?P<host>[^/:]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})")


def parse_address(text: str) -> Optional[Tuple[str, int]]:
    """Return host and port of HOST:PORT, or None for another string, such as the path of a serial port.

    Args:
        text: The string. An IPv6 host is in brackets; the port has up to five digits.

    Returns:
        Host and port number, or None. An IPv6 host is returned without its brackets.
    """
    matched = _ADDRESS.fullmatch(text)
    return None if matched is None else (matched["host"].strip("[]"), int(matched["port"]))
