# SPDX-License-Identifier: Apache-2.0
"""Flash tools and emulators: how each is called, and what its failures mean.

A runner turns a Job into command lines and runs nothing itself. base.Runner says how to write one.

May import: boards, transports, archive, system.
To add a flash tool: a module with a subclass of base.Runner, its line in table.py, how to install it in
system/packages.json, and its rows in tests/runners.
"""
