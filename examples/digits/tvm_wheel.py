# SPDX-License-Identifier: Apache-2.0
"""Reproducible model archives from the hhb-tvm wheel.

The wheel is TVM 0.16.dev0 with Relay and the C and LLVM code generators, for CPython 3.10. It cannot export a
model archive without three changes:

* `import tvm.micro` needs the C++ function `micro._rpc_connect`, which this wheel lacks. No program here uses
  a device, so that a function which raises is registered under that name first.
* The export of an AOT archive copies TVM's own C runtime and two files of its project templates. Empty files
  are used for the export and removed from the archive: a platform has its own device runtime.
* Times, owners and the order of entries differ between runs. They are set to fixed values. Other differences
  come from TVM, which visits some tables by hash or address. `PYTHONHASHSEED=0 setarch -R` before python
  fixes most of this order. Rarely, two lines of generated C, or two functions in the list of an object file,
  still swap.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import tvm
from tvm import relay
from tvm.contrib import graph_executor
from tvm.relay.backend import Executor, Runtime

EXPORT_DATETIME = "2024-01-01 00:00:00Z"
MTIME = 1704067200  # EXPORT_DATETIME in seconds, for the tar headers
C_TARGET = "c -keys=cpu -model=host"
LLVM_TARGET = "llvm -mtriple=x86_64-linux-gnu -mcpu=x86-64"  # the wheel's default is RISC-V
STAND_INS = ("runtime", "templates")

Entries = Dict[str, bytes]


def no_device(*_: object) -> None:
    """Raise: the stand-in for `micro._rpc_connect`."""
    raise RuntimeError("This wheel has no micro session, and cannot run archives on a device.")


def build(
    mod: Any,
    target: str,
    executor: str,
    attributes: Dict[str, Any],
    *,
    name: str = "default",
    system_library: bool = True,
    plan_memory: bool = False,
    opt_level: int = 3,
) -> Any:
    """Return the build of `mod` for the C runtime.

    Vector types are disabled for C, which has none, and for the memory planner, which counts a vector as one
    number and then plans too little memory.

    Args:
        mod: Relay module.
        target: TVM target, such as C_TARGET.
        executor: "aot" or "graph".
        attributes: Attributes of the executor.
        name: Name of the module in the archive.
        system_library: Generate a system library.
        plan_memory: Use the unified static memory planner.
        opt_level: Optimization level of the build.
    """
    scalar = plan_memory or target.startswith("c ")
    config = {"tir.disable_vectorize": scalar, "tir.usmp.enable": plan_memory}
    with tvm.transform.PassContext(opt_level=opt_level, config=config):
        return relay.build(
            mod,
            tvm.target.Target(target),
            executor=Executor(executor, attributes),
            runtime=Runtime("crt", {"system-lib": system_library}),
            mod_name=name,
        )


def exported(built: Any) -> Entries:
    """Return the files of a build's model archive by path, without the copies of TVM's runtime."""
    tvm.register_func("micro._rpc_connect", no_device, override=True)
    from tvm.micro import build as micro_build  # works only after the line above
    from tvm.micro import model_library_format as mlf

    with tempfile.TemporaryDirectory() as scratch:
        stand_in = Path(scratch)
        (stand_in / "crt").mkdir()
        (stand_in / "templates").mkdir()
        for name in ("crt_config.h.template", "platform.c.template"):
            (stand_in / "templates" / name).touch()
        micro_build.STANDALONE_CRT_DIR = str(stand_in / "crt")
        mlf.get_microtvm_template_projects = lambda _: str(stand_in)
        path = stand_in / "archive.tar"
        mlf.export_model_library_format(built, path)
        entries: Entries = {}
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                name = member.name[2:] if member.name.startswith("./") else member.name
                file = tar.extractfile(member)
                if file is not None and name.split("/")[0] not in STAND_INS:
                    entries[name] = file.read()
    metadata = json.loads(entries["metadata.json"])
    for module in metadata.get("modules", {"": metadata}).values():
        module["export_datetime"] = EXPORT_DATETIME
        if "functions" in module["memory"]:
            module["memory"]["functions"]["operator_functions"].sort(key=lambda entry: entry["function_name"])
    entries["metadata.json"] = as_json(metadata)
    return entries


def as_json(value: Any) -> bytes:
    """Return JSON with sorted keys, for reproducible archives."""
    return json.dumps(value, indent=2, sort_keys=True).encode()


def tarred(entries: Entries) -> bytes:
    """Return a plain tar of the entries and their folders, sorted, owned by root, all with time MTIME."""
    folders = {str(parent) for name in entries for parent in Path(name).parents}
    names = sorted([*folders, *entries])
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            info = tarfile.TarInfo("." if name == "." else f"./{name}")
            info.mtime, info.uname, info.gname = MTIME, "root", "root"
            if name in entries:
                info.size = len(entries[name])
                tar.addfile(info, io.BytesIO(entries[name]))
            else:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
    return written.getvalue()


def host_run(mod: Any) -> Callable[[Dict[str, np.ndarray]], List[np.ndarray]]:
    """Build a module for this machine and return a function from inputs by name to outputs.

    TVM's graph executor runs LLVM code for any x86-64 CPU. Neither code generator nor executor nor runtime is
    shared with a device.
    """
    with tvm.transform.PassContext(opt_level=3):
        library = relay.build(mod, tvm.target.Target(LLVM_TARGET))
    executor = graph_executor.GraphModule(library["default"](tvm.cpu()))

    def run(inputs: Dict[str, np.ndarray]) -> List[np.ndarray]:
        executor.run(**inputs)
        return [executor.get_output(index).numpy() for index in range(executor.get_num_outputs())]

    return run
