# SPDX-License-Identifier: Apache-2.0
"""Platforms, and the projects that are generated from them.

platform.py has the owner's declarations. options.py has the project options, and settings.py the values with
which a project was generated. generate.py writes a project. archive_rules.py and the modules that it imports
reject models that cannot work.

May import: wire, boards, transports, archive, system.
To add a project option: its entry in options.py, then a field of settings.ProjectSettings or BuildConfig.
To add a rule about models: a function that returns a Finding, in the table of archive_rules.py.
A device port and a driver are files of runtime/device/, whose README.md explains how to add one.
board_support.py finds them by name.
"""
