# SPDX-License-Identifier: Apache-2.0
"""boards.json: what a platform knows of its boards.

board.py has the values of an entry, table.py the fields that a file may have, rules.py what must hold between
them, cores.py the processor cores. attachment.py says how one board is attached.

May import: transports, archive, system, errors, dtype.
To add a board: an entry in boards.json (of a platform or, in the template, of its family). README.md of a
platform explains the fields.
To add a field: its line in table.FIELDS, its attribute of board.Board, its row in the platform's README.md.
To add a core: its line in cores.py.
"""
