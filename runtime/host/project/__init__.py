# SPDX-License-Identifier: Apache-2.0
"""Platforms, and the projects that are generated from them.

platform.py has what an owner declares, options.py what a project may be generated with, settings.py what it
was; generate.py writes one. archive_rules.py and the modules that it names say which models are refused.

May import: wire, boards, transports, archive, system.
To add a project option: its entry in options.py, then a field of settings.ProjectSettings or BuildConfig.
To add a rule about models: a function that returns a Finding, in the table of archive_rules.py.
A device port and a driver are files of runtime/device/, whose README.md says how to add one; board_support.py
finds them by name.
"""
