# SPDX-License-Identifier: Apache-2.0
"""ONNX's own operator tests through `compile` and a project of the `host` family.

Usage: python -m benchmarks.onnx_operators [NAME ...]

Each case has a model, inputs and expected outputs, all from the package onnx. A case is right, refused by a
sentence, or one of the faults that must not be: wrong, a C compiler's error, a traceback.
"""

from __future__ import annotations

import collections
import multiprocessing
import sys
import tempfile
from pathlib import Path
from typing import Dict, Final, List, NamedTuple, Sequence

import numpy as np

from benchmarks.platforms import bake
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.errors import BuildError, PlatformError
from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from tests.compile.onnx_cases import Case, node_cases

RIGHT, REFUSED = "right", "refused"
WRONG, NO_BUILD, TRACEBACK = "wrong", "does not build", "traceback"
LEAST_RIGHT: Final = 0.85
PROCESSES: Final = 2
PROGRESS: Final = 50  # cases between two lines


class Outcome(NamedTuple):
    """Result of one case.

    Attributes:
        name: Name of the case.
        kind: RIGHT, REFUSED, WRONG, NO_BUILD or TRACEBACK.
        why: Sentence of a refusal, or the fault.
    """

    name: str
    kind: str
    why: str = ""


def run_case(case: Case, platform: Path) -> Outcome:
    """Compile a case, run it on the board `host` of a platform, and compare its outputs."""
    try:
        compiled = compile_model(case.model, verify=False)
    except PlatformError as error:
        return Outcome(case.name, REFUSED, error.what)
    except Exception as error:
        return Outcome(case.name, TRACEBACK, f"{type(error).__name__}: {error}")
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as scratch:
        try:
            archive = ModelArchive.unpacked(compiled.archive)
            project = generate(
                load_platform(platform), compiled.archive, Path(scratch) / "p", {}, has_host_tools=False
            )
            build(project)
            with running_model(project) as executor:
                answers = executor.infer({spec.name: case.inputs[spec.name] for spec in archive.inputs})
        except BuildError as error:
            return Outcome(case.name, NO_BUILD, error.log[-300:])
        except Exception as error:
            return Outcome(case.name, TRACEBACK, f"{type(error).__name__}: {error}")
    faults = [why for answer, expected in zip(answers, case.expected) for why in _fault(answer, expected)]
    return Outcome(case.name, WRONG, faults[0]) if faults else Outcome(case.name, RIGHT)


def _fault(answer: np.ndarray, expected: np.ndarray) -> List[str]:
    """Return what is wrong with an answer: 1e-3 of the value and 1e-5 of the largest are allowed."""
    if (answer.shape, answer.dtype) != (expected.shape, expected.dtype):
        return [f"{answer.dtype} {answer.shape}, expected {expected.dtype} {expected.shape}"]
    if expected.dtype.kind != "f":
        return [] if np.array_equal(answer, expected) else ["other integers"]
    finite = np.abs(expected[np.isfinite(expected)])
    atol = 1e-5 * max(1.0, float(finite.max()) if finite.size else 0.0)
    return [] if np.allclose(answer, expected, rtol=1e-3, atol=atol, equal_nan=True) else ["other numbers"]


def _run(arguments: Sequence[object]) -> Outcome:
    case, platform = arguments
    assert isinstance(case, Case) and isinstance(platform, Path)
    return run_case(case, platform)


def main(names: List[str]) -> int:
    """Run the named cases, or all; print the counts and each case that is not right."""
    cases = [case for case in node_cases() if case.is_of_devices and (not names or case.name in names)]
    with tempfile.TemporaryDirectory(prefix="microtvm-bench-") as scratch:
        platform = bake(Path(scratch))
        with multiprocessing.get_context("fork").Pool(PROCESSES, maxtasksperchild=100) as pool:
            outcomes = []
            for outcome in pool.imap_unordered(_run, [(case, platform) for case in cases], chunksize=4):
                outcomes.append(outcome)
                if len(outcomes) % PROGRESS == 0:
                    print(f"{len(outcomes)} of {len(cases)} cases", file=sys.stderr)
    counts: Dict[str, int] = collections.Counter(outcome.kind for outcome in outcomes)
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.kind, outcome.why)):
        if outcome.kind != RIGHT:
            print(f"{outcome.kind:15} {outcome.name}: {outcome.why[:200]}")
    print(", ".join(f"{counts.get(kind, 0)} {kind}" for kind in (RIGHT, REFUSED, WRONG, NO_BUILD, TRACEBACK)))
    print(f"{len(cases)} cases, {counts.get(RIGHT, 0) / max(1, len(cases)):.1%} right")
    faults = len(cases) - counts.get(RIGHT, 0) - counts.get(REFUSED, 0)
    return 1 if faults or counts.get(RIGHT, 0) < LEAST_RIGHT * len(cases) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
