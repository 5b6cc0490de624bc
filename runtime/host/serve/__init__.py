# SPDX-License-Identifier: Apache-2.0
"""Boards served to clients of TVM's RPC tracker: generate, build, flash and relay each session.

server.py waits for clients, trial.py runs one session in a separate process, and worker_pool.py runs several
boards.

May import: every room but commands.
To let clients set another project option: add its name to TAKEN in request.py, and explain why it is safe.
"""
