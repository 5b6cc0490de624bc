# SPDX-License-Identifier: Apache-2.0
"""This machine: files, programs, processes, locks, the cache, logs.

May import: errors, dtype, and runtime/server.py.
To add a program that is to be found: how to install it, in packages.json.
"""
