# SPDX-License-Identifier: Apache-2.0
"""The protocol between host and device: frames, sessions, RPC messages, and explanations of failures.

The docstrings of framing.py, session.py, messages.py and rpc.py each describe one layer of the protocol.
api_client.py is a client of the Project API, which carries these bytes through an API server.

May import: transports, archive, system, errors, dtype.
To add a request of the RPC: add its code to messages.py, its method to rpc.RpcClient, and its case to the
tests of both ends (tests/wire, tests/device).
"""
