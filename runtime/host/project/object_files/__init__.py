# SPDX-License-Identifier: Apache-2.0
"""What a model's object files were compiled for: read from them, and compared with the board's core.

Written here, and not borrowed: an API server generates projects without any package.

May import: what project may.
To add an architecture: its machine in elf.py, and what its files say in abi.py.
"""
