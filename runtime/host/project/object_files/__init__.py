# SPDX-License-Identifier: Apache-2.0
"""Reader of a model's object files, which compares their architecture and ABI with the board's core.

No package for ELF is used, because an API server generates projects without any package.

May import: what project may.
To add an architecture: its machine in MACHINES and the reader of its attributes, both in abi.py.
"""
