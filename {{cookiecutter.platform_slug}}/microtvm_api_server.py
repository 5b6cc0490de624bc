# SPDX-License-Identifier: Apache-2.0
"""The API server of this platform: what TVM starts, and where its owner edits.

Everything else is in runtime/, which an update replaces whole, and in boards.json.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from runtime import server  # noqa: E402
from runtime.host.handler import Platform, PlatformHandler  # noqa: E402

PLATFORM = Platform(
    directory=HERE,
    name="{{ cookiecutter.platform_slug }}",
    build_system="{{ cookiecutter.build_system }}",
    # What builds the firmware, as a list of arguments in which {firmware}, {project}, {sources} and {flags} are
    # filled in; README.md explains them. None: the {{ "Makefile" if cookiecutter.build_system == "make" else "CMakeLists.txt" }} of the project builds it.
    build_command=None,
    # What puts the firmware on a real board, as a list of arguments in which {firmware}, {hex}, {bin}, {project},
    # {port}, {baud_rate} and {serial_number} are filled in; for one board alone: {"its_name": [...]}. None: the
    # runner of the board's entry in boards.json does; where it has none, nothing is flashed.
    flash_command=None,
    # Where the board is when nobody says: a serial port such as "/dev/ttyUSB0" or "COM3", or "HOST:PORT".
    # None: the board's entry in boards.json tells, by its usb id or its address.
    port=None,
    # Bits a second of the serial port. None: the speed in the board's entry, else 115200.
    baud_rate=None,
)


class Handler(PlatformHandler):
    """Override a method of the Project API here to do it your own way; see runtime/host/handler.py."""


if __name__ == "__main__":
    server.main(Handler(PLATFORM))
