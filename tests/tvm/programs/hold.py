# SPDX-License-Identifier: Apache-2.0
"""Session that prints "open" and computes an answer on request.

Usage: hold.py PROJECT
"""

import sys

from common import answers, archive, micro

_, graph, inputs, outputs = archive("archives/graph_c")
project = micro.GeneratedProject.from_directory(sys.argv[1], {})
with micro.Session(project.transport()) as session:
    executor = micro.create_local_graph_executor(graph, session.get_system_lib(), session.device)
    print("open", flush=True)
    sys.stdin.readline()
    print(answers(executor, inputs, outputs), flush=True)
