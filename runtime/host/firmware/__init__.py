# SPDX-License-Identifier: Apache-2.0
"""A project's firmware: built, measured, put on the board.

build.py goes through the stages and the cache, build_systems.py drives Make and CMake, fingerprint.py names
what the cache holds, flash.py chooses the runner. The owner's own commands are in owner_build.py and
owner_flash.py.

May import: project, runners, boards, archive, system.
To add a build system: see build_systems.py. To add a flash tool: see runners/.
"""
