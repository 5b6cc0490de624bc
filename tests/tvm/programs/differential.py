# SPDX-License-Identifier: Apache-2.0
"""Comparison of random models on a board with TVM's own answers.

Usage: differential.py PLATFORM SCRATCH FIRST COUNT [--board NAME] [--kinds A,B] [--log FILE]

Each model is exported in every kind of archive that a platform accepts. Each answer is compared with TVM's on
this machine (llvm code, graph executor). FIRST and COUNT number the models. The last line is a JSON report:
the number of pairs of model and kind by outcome, and every pair that was not right.
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Counter, Dict, List, Optional, Sequence, Tuple

import numpy as np
from random_models import Model, random_model

from examples.digits.tvm_wheel import C_TARGET, LLVM_TARGET, build, exported, host_run, tarred
from runtime.host.errors import ArchiveError, BuildError, PlatformError
from runtime.host.execution import standalone_run
from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build as build_firmware
from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform, load_platform

PACKED = {"interface-api": "packed"}
C_INTERFACE = {"interface-api": "c", "unpacked-api": True}
# Kind -> target, executor, its attributes, more arguments of build(), project type.
KINDS: Dict[str, Tuple[str, str, Dict[str, Any], Dict[str, Any], str]] = {
    "aot": (C_TARGET, "aot", PACKED, {}, "host_driven"),
    "aot_usmp": (C_TARGET, "aot", PACKED, {"plan_memory": True}, "host_driven"),
    "aot_alone": (C_TARGET, "aot", PACKED, {}, "standalone"),
    "c": (C_TARGET, "aot", C_INTERFACE, {"system_library": False}, "standalone"),
    "c_usmp": (C_TARGET, "aot", C_INTERFACE, {"system_library": False, "plan_memory": True}, "standalone"),
    "graph": (C_TARGET, "graph", {}, {}, "host_driven"),
    "graph_linked": (C_TARGET, "graph", {"link-params": True}, {}, "host_driven"),
    "aot_llvm": (LLVM_TARGET, "aot", PACKED, {}, "host_driven"),
    "aot_llvm_usmp": (LLVM_TARGET, "aot", PACKED, {"plan_memory": True}, "host_driven"),
    "graph_llvm": (LLVM_TARGET, "graph", {"link-params": True}, {}, "host_driven"),
}
INPUTS_A_MODEL = 3
REPORTED = re.compile(r"^output (.*) ([a-z]+\d+) (\d+): ?(.*)$", re.MULTILINE)


Inputs = Dict[str, Any]


class Wrong(Exception):
    """Answer that differs from TVM's."""


def check(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray], shapes: bool = True) -> None:
    """Raise Wrong unless the outputs equal TVM's: integers exactly, floats within 1e-5."""
    if len(got) != len(wanted):
        raise Wrong(f"expected {len(wanted)} outputs, got {len(got)}")
    for index, (answer, theirs) in enumerate(zip(got, wanted)):
        mine = answer
        if shapes and (mine.shape != theirs.shape or mine.dtype != theirs.dtype):
            raise Wrong(
                f"output {index}: expected {theirs.dtype} {theirs.shape}, got {mine.dtype} {mine.shape}"
            )
        if mine.size != theirs.size:
            raise Wrong(f"output {index}: expected {theirs.size} elements, got {mine.size}")
        mine = answer.reshape(theirs.shape)
        if theirs.dtype.kind == "f":
            scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=1.0)
            same = np.allclose(mine, theirs, rtol=1e-5, atol=1e-5 * scale, equal_nan=True)
        else:
            same = np.array_equal(mine, theirs)
        if not same:
            raise Wrong(f"output {index}: expected {theirs.ravel()[:6]}, got {mine.ravel()[:6]}")


def run_standalone(
    platform: Platform,
    archive: Path,
    directory: Path,
    options: Dict[str, Any],
    inputs: Inputs,
    names: Optional[List[str]],
) -> List[np.ndarray]:
    """Run a standalone firmware once, and return the outputs in its report."""
    sample = directory.with_suffix(".npz")
    np.savez(sample, **{f"input_{name}": value for name, value in inputs.items()})
    project = generate(platform, archive, directory, {**options, "standalone_input": str(sample)})
    build_firmware(project)
    report = standalone_run.run_standalone(project)
    if "outcome: 0" not in report:
        raise Wrong(f"unexpected report: {report[-300:]}")
    found = REPORTED.findall(report)
    if names is not None and [name for name, *_ in found] != names:
        raise Wrong(f"expected outputs {names}, got {[name for name, *_ in found]}")
    return [np.array([float(text) for text in values.split()]) for _, _, _, values in found]


def standalone_wanted(outputs: List[np.ndarray]) -> List[np.ndarray]:
    """Return these outputs as a text report can show them."""
    return [output.astype("float64") for output in outputs]


def run_pair(
    platform: Platform,
    scratch: Path,
    kind: str,
    model: Model,
    drawn: List[Tuple[Inputs, List[np.ndarray]]],
    board: Optional[str],
) -> Optional[Tuple[str, str]]:
    """Return "right", or an outcome and its reason.

    Returns:
        None if TVM itself refuses the export.
    """
    target, executor, attributes, more, project_type = KINDS[kind]
    directory = scratch / kind
    shutil.rmtree(directory, ignore_errors=True)
    archive = scratch / f"{kind}.tar"
    try:
        built = build(
            model.mod, target, executor, attributes, opt_level=model.opt_level, name=model.name, **more
        )
        archive.write_bytes(tarred(exported(built)))
    except Exception:  # any error of TVM: it has no such archive
        return None
    options = {"project_type": project_type, "board": board}
    try:
        if project_type == "standalone":
            inputs, outputs = drawn[0]
            got = run_standalone(platform, archive, directory, options, inputs, None)
            check(got, standalone_wanted(outputs), shapes=False)
            return "right", ""
        project = generate(platform, archive, directory, options)
        build_firmware(project)
        with running_model(project) as running:
            if sorted(running.input_names) != sorted(model.inputs) and not kind.startswith("graph"):
                raise Wrong(f"unexpected input names: {running.input_names}")
            for inputs, outputs in drawn:
                check(running.infer({k: v for k, v in inputs.items() if k in running.input_names}), outputs)
        return "right", ""
    except Wrong as error:
        return "wrong", str(error)
    except ArchiveError as error:
        return "refused", f"{error.what} / {error.next_step}"
    except BuildError as error:
        return "build failed", f"{error.what} / {error.next_step}"
    except PlatformError as error:
        return "failed", f"{error.what} / {error.next_step}"
    except Exception:
        return "traceback", traceback.format_exc()[-900:]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("platform", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--board")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--log", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    platform = load_platform(arguments.platform)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    log = arguments.log.open("w", encoding="utf-8") if arguments.log else sys.stderr
    ends: Counter[str] = collections.Counter()
    odd = []
    for seed in range(arguments.first, arguments.first + arguments.count):
        try:
            model = random_model(seed)
            reference = host_run(model.mod)
            draw = np.random.default_rng(seed)
            drawn = [
                (inputs, reference(inputs))
                for inputs in (model.draw_inputs(draw) for _ in range(INPUTS_A_MODEL))
            ]
        except Exception as error:
            ends["no model"] += 1
            print(
                json.dumps({"seed": seed, "end": "no model", "why": str(error)[-200:]}), file=log, flush=True
            )
            continue
        for kind in arguments.kinds.split(","):
            start = time.monotonic()
            outcome = run_pair(platform, arguments.scratch, kind, model, drawn, arguments.board)
            end, why = outcome or ("not exported", "")
            ends[end] += 1
            line = {
                "seed": seed,
                "kind": kind,
                "end": end,
                "why": why,
                "sec": round(time.monotonic() - start, 2),
            }
            print(json.dumps(line), file=log, flush=True)
            if end not in ("right", "not exported"):
                odd.append({**line, "model": model.text})
    print(json.dumps({"ends": ends, "odd": odd}))


if __name__ == "__main__":
    main()
