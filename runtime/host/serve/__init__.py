# SPDX-License-Identifier: Apache-2.0
"""Boards lent to TVM's RPC tracker: each session of a client is generated, built, flashed and relayed.

server.py waits for clients, trial.py holds one session in a process of its own, worker_pool.py runs several
boards.

May import: every room but commands.
To let clients set another project option: its name in request.py, with the reason why it is safe.
"""
