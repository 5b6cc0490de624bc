# SPDX-License-Identifier: Apache-2.0
"""Ways in which opening a serial port resets the board behind it, under their names in boards.json.

none: the firmware runs on. dtr_rts: a pulse on the lines DTR and RTS, for boards that are programmed over
their port. touch_1200: the port is opened and closed at 1200 baud, after which USB boards restart.
debug_probe: the port resets nothing; the tool that flashes the board does.
"""

from __future__ import annotations

from typing import Final

RESETS: Final = ("none", "dtr_rts", "touch_1200", "debug_probe")
