# SPDX-License-Identifier: Apache-2.0
"""Build, measure and flash a project's firmware.

build.py runs the stages and uses the cache, build_systems.py drives Make and CMake, fingerprint.py computes
the names of cache entries, and flash.py selects the runner. The owner's commands are in owner_build.py and
owner_flash.py.

May import: project, runners, boards, archive, system.
To add a build system: the steps in build_systems.py. To add a flash tool: the steps in runners/.
"""
