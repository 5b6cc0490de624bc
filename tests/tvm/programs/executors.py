# SPDX-License-Identifier: Apache-2.0
"""One model from Relay to answers, in every way that TVM has.

Usage: executors.py PLATFORM SCRATCH BOARD
"""

from __future__ import annotations

import json
import sys
from typing import Dict

import numpy as np
import tvm
from common import compiled, micro, report

platform, scratch, board = sys.argv[1:]
found: Dict[str, object] = {}

model, data, expected, weights = compiled("graph", **{"link-params": True})
project = micro.generate_project(platform, model, f"{scratch}/graph", {"board": board})
project.build()
project.flash()
with micro.Session(project.transport()) as session:
    executor = micro.create_local_graph_executor(
        model.get_graph_json(), session.get_system_lib(), session.device
    )
    executor.set_input("x", data)
    executor.run()
    found["graph"] = np.array_equal(executor.get_output(0).numpy(), expected)

    # A single layer: its weights are part of the code, so that it has one input and one output.
    node = next(node for node in json.loads(model.get_graph_json())["nodes"] if "dense" in node["name"])
    layer_in = tvm.nd.array(np.ones((1, 64), "int32"), session.device)
    layer_out = tvm.nd.array(np.zeros((1, 3), "int32"), session.device)
    timed = session.get_system_lib().time_evaluator(
        node["attrs"]["func_name"], session.device, number=2, repeat=3, min_repeat_ms=1
    )
    found["times of layer"] = list(timed(layer_in, layer_out).results)
    found["layer"] = np.array_equal(layer_out.numpy(), weights["d"].sum(axis=1, keepdims=True).T)

# TVM stops the API server at the end of the session.
project = micro.GeneratedProject.from_directory(f"{scratch}/graph", {})
with micro.Session(project.transport()) as session:
    executor = micro.create_local_debug_executor(
        model.get_graph_json(), session.get_system_lib(), session.device, dump_root=f"{scratch}/dump"
    )
    executor.set_input("x", data)
    executor.run()
    found["debug"] = np.array_equal(executor.get_output(0).numpy(), expected)

model, data, expected, _ = compiled("aot", **{"unpacked-api": False})
project = micro.generate_project(platform, model, f"{scratch}/aot", {"board": board})
project.build()
project.flash()
with micro.Session(project.transport()) as session:
    executor = micro.create_local_aot_executor(session)
    executor.get_input("x").copyfrom(data)
    executor.run()
    found["aot"] = np.array_equal(executor.get_output(0).numpy(), expected)
    run = executor.module.time_evaluator("run", session.device, number=1, repeat=2)
    found["time of run"] = list(run().results)

report(**found)
