#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Command line of this platform or project: python mtvm.py COMMAND, from any directory."""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

from runtime.host.__main__ import run  # noqa: E402

if __name__ == "__main__":
    run(HERE, "python mtvm.py")
