# SPDX-License-Identifier: Apache-2.0
"""What travels to and from a device: frames, sessions, RPC messages, and what their failures mean.

framing.py, session.py, messages.py and rpc.py each describe their layer of the protocol. api_client.py is a
client of the Project API, which carries the same bytes through an API server.

May import: transports, archive, system, errors, dtype.
To add a request of the RPC: its code in messages.py, its method in rpc.RpcClient, and its case in the tests
of both ends (tests/wire, tests/device).
"""
