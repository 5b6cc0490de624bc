# SPDX-License-Identifier: Apache-2.0
"""Sessions with a project's device: the way to it, and running its model.

connection.py opens the transport of a board, running_model.py the executor on it; standalone_run.py runs a
firmware that holds no session.

May import: project, runners, wire, boards, transports, archive, system.
To add a kind of executor: a subclass of Executor in a module of its own, and its case in create_executor.py.
To add a kind of transport: see transports/, then its case in connection.transport_to.
"""
