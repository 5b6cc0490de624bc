# SPDX-License-Identifier: Apache-2.0
"""Ways in which opening a serial port resets its board, by their names in boards.json.

* none: The firmware continues to run.
* dtr_rts: A pulse on the lines DTR and RTS, for boards that are programmed over their serial port.
* touch_1200: The serial port is opened and closed at 1200 baud, after which USB boards restart.
* debug_probe: The serial port does not reset the board; the tool that flashes the board does.
"""

from __future__ import annotations

from typing import Final

RESETS: Final = ("none", "dtr_rts", "touch_1200", "debug_probe")
