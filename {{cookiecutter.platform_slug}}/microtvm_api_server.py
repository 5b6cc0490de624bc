# SPDX-License-Identifier: Apache-2.0
"""The API server of this platform: what TVM starts, and where its owner edits.

Everything else is in runtime/, which an update replaces whole, and in boards.json.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from runtime import server  # noqa: E402
from runtime.host.handler import PlatformHandler  # noqa: E402
from runtime.host.platform import Platform  # noqa: E402

PLATFORM = Platform(
    directory=HERE,
    name="{{ cookiecutter.platform_slug }}",
    build_system="{{ cookiecutter.build_system }}",
    # What puts the firmware on the board, as a list of arguments in which {firmware}, {project} and
    # {serial_number} are filled in. None: the board needs no flashing (its firmware is a process here).
    flash_command=None,
)


class Handler(PlatformHandler):
    """Override a method of the Project API here to do it your own way; see runtime/host/handler.py."""


if __name__ == "__main__":
    server.main(Handler(PLATFORM))
