# SPDX-License-Identifier: Apache-2.0
"""What `check` looks at, in the order in which an owner would; each step says what was found.

A step that fails ends the list where the later ones need it.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Final, Iterator, List, NamedTuple

from runtime.host.build import build, find_compiler
from runtime.host.errors import PlatformError, TransportError
from runtime.host.flash import flash
from runtime.host.platform import Platform
from runtime.host.project import Project, generate, load_project
from runtime.host.tools import find_tool

BUNDLED_MODEL: Final = "models/digits_aot.tar"
BUNDLED_IMAGES: Final = "models/digits_test.npz"
PACKAGES: Final = ("click", "rich", "numpy")
STANDALONE_TIMEOUT_SEC: Final = 60.0


class CheckResult(NamedTuple):
    """One step of a check. next_step and log are for a step that failed."""

    what: str
    ok: bool
    found: str
    next_step: str = ""
    log: str = ""


def run_checks(platform: Platform, verbose: bool = False) -> Iterator[CheckResult]:
    """Check a platform (with its bundled model, in a temporary directory) or a project (with its own)."""
    steps: List[CheckResult] = []

    def step(what: str, action: Callable[[], str]) -> CheckResult:
        try:
            result = CheckResult(what, True, action())
        except PlatformError as error:
            result = CheckResult(what, False, error.what, error.next_step, error.log)
        steps.append(result)
        return result

    yield step("Python packages", _packages)
    yield step("C compiler", find_compiler)
    yield step("build system", lambda: find_tool(platform.build_system, "build the firmware"))
    yield step("boards.json", lambda: f"{len(platform.boards())} board(s)")
    if not all(result.ok for result in steps):
        return
    scratch = Path(tempfile.mkdtemp(prefix="microtvm-check-"))
    try:
        projects: List[Project] = []

        def take_project() -> str:
            if platform.is_project:
                projects.append(load_project(platform))
            else:
                archive = platform.directory / BUNDLED_MODEL
                projects.append(generate(platform, archive, scratch / "project", {}))
            return str(projects[0].directory) if platform.is_project else BUNDLED_MODEL

        yield step("project", take_project)
        if not steps[-1].ok:
            return
        project = projects[0]
        yield step("build", lambda: str(build(project, verbose=verbose).firmware))
        if not steps[-1].ok:
            return
        yield step("flash", lambda: _flash(project, verbose))
        if not steps[-1].ok:
            return
        yield step("answers", lambda: _answers(platform, project))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _packages() -> str:
    found = []
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise PlatformError(
                f"{name} is not installed.", f"{sys.executable} -m pip install -r requirements.txt"
            ) from error
        found.append(name)
    return ", ".join(found)


def _flash(project: Project, verbose: bool) -> str:
    flash(project, verbose=verbose)
    return "done" if project.platform.flash_command else "not needed, the firmware is a process here"


def _answers(platform: Platform, project: Project) -> str:
    if project.project_type == "standalone":
        run_standalone(project)
        return "the standalone firmware ran its model"
    import numpy

    from runtime.host.device import running_model
    from runtime.host.tensors import read_inputs

    with running_model(project) as executor:
        if platform.is_project:
            for name, array in read_inputs((), executor.inputs).items():
                executor.set_input(name, array)
            executor.run()
            executor.get_output(0)
            return "the model ran on the device"
        with numpy.load(platform.directory / BUNDLED_IMAGES) as data:
            images, expected = data["images"][:32], data["expected"][:32]
        for index, image in enumerate(images):
            executor.set_input(0, image[numpy.newaxis])
            executor.run()
            if not numpy.array_equal(executor.get_output(0).ravel(), expected[index].ravel()):
                raise PlatformError(
                    f"The device answers differently from the host on bundled image {index}.",
                    "Build with -o optimization=O0; if that helps, the compiler or its flags are at fault.",
                )
    return f"{len(images)} of {len(images)} bundled images, each answered exactly as on the host"


def run_standalone(project: Project) -> str:
    """Run a standalone firmware of this machine to its end and return its report.

    Raises TransportError where it does not end in time or says that the model failed.
    """
    try:
        result = subprocess.run(
            [str(project.firmware)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=STANDALONE_TIMEOUT_SEC,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TransportError(
            f"The standalone firmware did not end within {STANDALONE_TIMEOUT_SEC:.0f} s.",
            f"Run it by hand: {project.firmware}",
        ) from error
    report = result.stdout.decode("utf-8", "replace")
    if result.returncode != 0:
        raise TransportError(
            f"The standalone firmware failed with exit status {result.returncode}.",
            "Its report below says why.",
            report,
        )
    return report
