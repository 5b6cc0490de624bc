# SPDX-License-Identifier: Apache-2.0
"""Flash tools and emulators: the command lines and the known failures of each.

A runner turns a Job into command lines and runs nothing itself. The docstring of base.Runner explains how to
write one.

May import: boards, transports, archive, system.
To add a flash tool: a module of host/runners/ with a subclass of base.Runner, its line in runners/table.py,
how to install it in system/packages.json, an entry in boards.json for each board that it flashes, its rows in
tests/runners/test_runners.py, and the generated docs/boards-json.md and boards.schema.json (make docs).
An update replaces the whole runtime/ of a platform: add a runner to the template to keep it. A tool for one
platform needs no runner; set flash_command in its microtvm_api_server.py.
"""
