# SPDX-License-Identifier: Apache-2.0
"""API server of this platform. TVM starts this file, and the owner of the platform edits it.

The rest is in boards.json, and in runtime/, which an update replaces as a whole.
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
    # Command that builds the firmware: a list of arguments, with the fields {firmware}, {project}, {sources} and
    # {flags}. None: the {{ "Makefile" if cookiecutter.build_system == "make" else "CMakeLists.txt" }} of the project builds the firmware.
    build_command=None,
    # Command that flashes a real board: a list of arguments, with the fields {firmware}, {hex}, {bin}, {project},
    # {port}, {baud_rate} and {serial_number}; for one board only: {"its_name": [...]}. None: the board's runner in
    # boards.json flashes it. A board without a runner is not flashed.
    flash_command=None,
    # Default port of the board: a serial port such as "/dev/ttyUSB0" or "COM3", or "HOST:PORT". None: the usb id or
    # the address of the board's entry in boards.json selects the port.
    port=None,
    # Bits per second of the serial port. None: the baud rate of the board's entry, or 115200.
    baud_rate=None,
)


class Handler(PlatformHandler):
    """Override a method of the Project API here to do it your own way; see runtime/host/handler.py."""


if __name__ == "__main__":
    server.main(Handler(PLATFORM))
