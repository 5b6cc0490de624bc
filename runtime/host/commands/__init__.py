# SPDX-License-Identifier: Apache-2.0
"""The command line, one module for each group of commands. It prints, and leaves the work to other rooms.

app.py has the group, the table of commands and the report of a failure. command_options.py has the options
that commands share, and target.py what they mean. console.py prints text, and json_output.py prints
documents.

May import: every other room.
To add a command: a function with @main.command() or @project_command() in a module of its subject, and its
line in app.COMMANDS. With --json, its document is added to output.schema.json.
"""
