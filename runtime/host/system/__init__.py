# SPDX-License-Identifier: Apache-2.0
"""Access to this machine: files, programs, processes, locks, the cache, logs.

May import: errors, dtype, and runtime/server.py.
To add a program that the host tools use: how to install it, in packages.json.
"""
