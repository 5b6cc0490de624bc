# SPDX-License-Identifier: Apache-2.0
"""The boards of a platform, as boards.json describes them.

board.py has the values of an entry. table.py has the fields of the file, and rules.py the rules between them.
cores.py has the processor cores. attachment.py has the options that select one connected board.

May import: transports, archive, system, errors, dtype.
To add a board: an entry in boards.json (of a platform or, in the template, of its family). The page
docs/boards-json.md of a platform explains the fields.
To add a field: its line in table.FIELDS, its attribute of board.Board, and the generated pages (make docs).
To add a core: its line in cores.py.
"""
