# SPDX-License-Identifier: Apache-2.0
"""TVM's own RPC over TCP, as far as a server of boards speaks it: the greeting, messages, the tracker.

May import: transports, archive, system, errors.
To speak another message of the tracker: tracker.py. Where the protocol is described: each module's docstring.
"""
