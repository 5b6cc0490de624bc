# SPDX-License-Identifier: Apache-2.0
"""Inputs of TVM's session, found by name.

Usage: input_names.py PLATFORM SCRATCH ARCHIVE NAME...

Reports for each NAME the shape of the input, or the device's error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict

import tvm
from common import micro, report

from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform

platform, scratch, archive, *names = sys.argv[1:]
build(generate(load_platform(Path(platform)), Path(archive), Path(scratch) / "project", {}))
project = micro.GeneratedProject.from_directory(f"{scratch}/project", {})
found: Dict[str, object] = {}
with micro.Session(project.transport()) as session:
    executor = micro.create_local_aot_executor(session)
    for name in names:
        try:
            found[name] = list(executor.get_input(name).shape)
        except tvm.TVMError as error:
            found[name] = str(error).strip().splitlines()[-1]
report(**found)
