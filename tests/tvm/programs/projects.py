# SPDX-License-Identifier: Apache-2.0
"""Options as TVM sends them, and sessions that TVM itself opens.

Usage: projects.py PLATFORM SCRATCH
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict

import tvm
from common import answers, archive, left, micro, report
from tvm.micro.project_api.server import ServerError
from tvm.micro.session import compile_and_create_micro_session

platform, scratch = sys.argv[1:]
path, graph, inputs, outputs = archive("archives/graph_c")
template = micro.TemplateProject.from_directory(platform)
declared = template.info()["project_options"]
found: Dict[str, object] = {}


def works(project: Any) -> bool:
    project.flash()
    with micro.Session(project.transport()) as session:
        executor = micro.create_local_graph_executor(graph, session.get_system_lib(), session.device)
        return answers(executor, inputs, outputs)


for name, options in (
    ("no options", None),
    ("every default", {option["name"]: option["default"] for option in declared}),
    ("every option None", {option["name"]: None for option in declared}),
    ("text", {"verbose": "False", "workspace_size_bytes": "0x8000", "optimization": "O1"}),
):
    project = micro.project.generate_project_from_mlf(platform, f"{scratch}/{name}", path, options)
    project.build()
    found[name] = works(project)

old = {"zephyr_board": "host", "nrfjprog_snr": None, "memory_size_bytes": "32768", "heap_size_bytes": None}
project = micro.GeneratedProject.from_directory(f"{scratch}/no options", old)
project.build()
found["old names"] = works(project)

for name, options, error in (
    ("unknown", {"baord": "host"}, ValueError),
    ("wrong", {"workspace_size_bytes": "many"}, ServerError),
):
    try:
        template.generate_project_from_mlf(path, f"{scratch}/{name}", options)
    except error as refused:
        found[name] = str(refused)


def opened(*arguments: object) -> bool:
    """Open a session as TVM's RPC server does, and return whether the answers are right.

    Only the end of the connection closes this session.
    """
    remote = tvm.rpc.RPCSession(
        compile_and_create_micro_session(Path(path).read_bytes(), platform, json.dumps({}), *arguments)
    )
    executor = micro.create_local_graph_executor(graph, remote.system_lib(), remote.cpu(0))
    works = answers(executor, inputs, outputs)
    remote._sess.get_function("CloseRPCConnection")()
    return works


del project, template
found["created"] = opened(f"{scratch}/kept", False)
found["use_existing"] = opened(f"{scratch}/kept", True)
report(left=left(), **found)
