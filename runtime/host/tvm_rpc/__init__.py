# SPDX-License-Identifier: Apache-2.0
"""TVM's own RPC over TCP, as a server of boards needs it: the greeting, messages, the tracker.

The docstring of each module describes its part of the protocol.

May import: transports, archive, system, errors.
To add a message of the tracker: add its code and its method to tracker.py.
"""
