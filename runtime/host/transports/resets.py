# SPDX-License-Identifier: Apache-2.0
"""How opening a serial port can reset the board behind it; the names that boards.json has for it."""

from __future__ import annotations

from typing import Final

RESETS: Final = {
    "none": "nothing: the firmware runs on as it is",
    "dtr_rts": "a pulse on the lines DTR and RTS, as boards take it that are programmed over their port",
    "touch_1200": "the port is opened and closed at 1200 baud, which USB boards take as a wish to restart",
    "debug_probe": "nothing here: the tool that flashes the board resets it",
}
