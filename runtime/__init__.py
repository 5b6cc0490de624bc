# SPDX-License-Identifier: Apache-2.0
"""Runtime of a platform: host tools (host/), C device runtime (device/) and JSON-RPC server (server.py)."""
