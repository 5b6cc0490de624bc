# SPDX-License-Identifier: Apache-2.0
"""python -m runtime.host: the command line, or what to install when a package that it needs is missing."""

from __future__ import annotations

import sys


def run() -> None:
    """Start the command line of the current directory's platform or project."""
    try:
        from runtime.host.cli import main
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich", "numpy"):
            raise
        sys.exit(
            f"error: the Python package {error.name} is not installed; the command line needs it.\n"
            f"next:  {sys.executable} -m pip install -r requirements.txt"
        )
    main(prog_name="python -m runtime.host")


if __name__ == "__main__":
    run()
