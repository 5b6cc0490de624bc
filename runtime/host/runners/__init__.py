# SPDX-License-Identifier: Apache-2.0
"""Flash tools and emulators. table.py lists them; a session with an emulated board needs qemu.py alone."""
