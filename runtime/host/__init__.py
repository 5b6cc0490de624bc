# SPDX-License-Identifier: Apache-2.0
"""The host tools: the Python that runs beside the user, copied with runtime/ into every platform.

Three doors, which are all that code from outside imports: `__main__` (people), `handler` (TVM's Project API)
and `tvm_micro` (a program with TVM). Behind them rooms, whose arrows go one way, downwards:

    commands                                what people type; prints, and leaves the work to the rooms below
    serve           handler                 boards lent to TVM's tracker; TVM's door
    execution       firmware                sessions with a project's device; build, memory check, flash
    project         runners    tvm_session  platforms and projects; flash tools; what a TVM wheel lacks
    wire            tvm_rpc    boards       framing to RPC; TVM's own RPC and tracker; boards.json
    transports                              byte pipes to devices
    archive                                 model archives
    system                                  files, programs, processes, locks, cache, logs
    errors          dtype                   what everybody needs

Rooms on one line do not import each other. import-linter checks all of it in `make lint`; a new room gets its
line in pyproject.toml, and a page like the others' in its __init__. No room imports a package at its start
that an API server can do without: pyserial, click, rich, numpy and TVM are imported where they are used.
"""
