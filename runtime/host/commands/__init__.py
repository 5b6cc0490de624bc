# SPDX-License-Identifier: Apache-2.0
"""The command line, one module for each group of commands. It prints, and leaves the work to other rooms.

app.py has the group, the options that commands share, and how failures are shown; console.py what is printed.

May import: every other room.
To add a command: a function with @main.command() or @project_command in a module of its subject, and the
module's name in app.COMMANDS.
"""
