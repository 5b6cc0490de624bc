# SPDX-License-Identifier: Apache-2.0
"""Model archives of the tests on one board.

Usage: archives.py PLATFORM SCRATCH BOARD NAME...
"""

import sys

from common import answers, archive, micro, report

platform, scratch, board, *names = sys.argv[1:]
found = {}
for name in names:
    path, graph, inputs, outputs = archive(name)
    target = f"{scratch}/{name.replace('/', '_')}"
    project = micro.project.generate_project_from_mlf(platform, target, path, {"board": board})
    project.build()
    project.flash()
    with micro.Session(project.transport()) as session:
        if graph:
            executor = micro.create_local_graph_executor(graph, session.get_system_lib(), session.device)
        else:
            executor = micro.create_local_aot_executor(session)
        if graph:
            found[name] = answers(executor, inputs, outputs)
        else:
            for key, value in inputs.items():
                executor.get_input(key).copyfrom(value)
            executor.run()
            found[name] = bool(abs(executor.get_output(0).numpy() - outputs[0]).max() < 1e-5)
report(**found)
