# SPDX-License-Identifier: Apache-2.0
"""Sessions with a project's device: transports to the device, and execution of its model.

connection.py opens the transport of a board, and running_model.py creates the executor on this transport.
standalone_run.py runs a firmware that has no session.

May import: project, runners, wire, boards, transports, archive, system.
To add a kind of executor: a subclass of Executor in a new module, and its case in create_executor.py.
To add a kind of transport: a module in transports/, and its case in connection.transport_to.
"""
