# SPDX-License-Identifier: Apache-2.0
"""Host tools: the Python that runs on the user's machine. Cookiecutter copies them into every platform.

Code outside of this package imports only three entry points: `__main__` (command line), `handler` (TVM's
Project API) and `tvm_micro` (programs that use TVM). A package imports only from lines below its own:

    commands                                command line: parses, prints, calls the packages below
    serve           handler                 boards offered to TVM's tracker; TVM's Project API
    execution       firmware                sessions with a project's device; build, memory check, flash
    project         runners    tvm_session  platforms and projects; flash tools; what a TVM wheel lacks
    wire            tvm_rpc    boards       framing to RPC; TVM's own RPC and tracker; boards.json
    transports                              byte pipes to devices
    archive                                 model archives
    system                                  files, programs, processes, locks, cache, logs
    errors          dtype                   errors and data types, used by all

Packages on one line do not import each other. import-linter checks these rules in `make lint`. To add a
package, add its name to the layers in pyproject.toml and document it in its __init__.py.

The API server must start without pyserial, click, rich, numpy and TVM. Import these packages in the functions
that use them, not at the top of a module.
"""
