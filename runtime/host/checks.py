# SPDX-License-Identifier: Apache-2.0
"""What `check` looks at, in the order in which an owner would; each step says what was found."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Callable, Final, Iterator, NamedTuple, Optional

from runtime.host.build import build, find_compiler
from runtime.host.errors import DeviceError, PlatformError, ToolMissing
from runtime.host.flash import flash
from runtime.host.link import run_standalone
from runtime.host.platform import Platform
from runtime.host.project import Project, generate, load_project
from runtime.host.tools import find_tool, how_to_install_packages

BUNDLED_MODEL: Final = "models/digits_aot.tar"
BUNDLED_IMAGES: Final = "models/digits_test.npz"  # images, and expected: the host's answer to each
IMAGES: Final = 32  # so many of them are tried
PACKAGES: Final = ("click", "rich", "numpy")


class CheckResult(NamedTuple):
    """One step of a check: what it found, or the error that it ended with."""

    what: str
    found: str
    error: Optional[PlatformError] = None


def run_checks(platform: Platform, verbose: bool = False) -> Iterator[CheckResult]:
    """Check a platform (with its bundled model, in a temporary directory) or a project (with its own).

    What has to be installed is looked at whole; after that the first step that fails is the last.
    """
    complete = True
    for result in (
        _try("Python packages", _packages),
        _try("C compiler", find_compiler),
        _try("build system", lambda: find_tool(platform.build_system, "build the firmware")),
        _try("boards.json", lambda: ", ".join(platform.boards())),
    ):
        complete = complete and result.error is None
        yield result
    if not complete:
        return
    with tempfile.TemporaryDirectory(prefix="microtvm-check-") as scratch:
        trial = _Trial(platform, Path(scratch), verbose)
        for what, action in (
            ("project", trial.take_project),
            ("build", trial.build),
            ("flash", trial.flash),
            ("answers", trial.answers),
        ):
            result = _try(what, action)
            yield result
            if result.error is not None:
                return


def _try(what: str, action: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(what, action())
    except PlatformError as error:
        return CheckResult(what, "", error)
    except OSError as error:
        return CheckResult(what, "", explained(error))


def explained(error: OSError) -> PlatformError:
    """What the operating system refused, with what to look at."""
    where = f"{error.filename}: " if error.filename else ""
    return PlatformError(
        f"{where}{error.strerror or error}.",
        "Check that the path is right, that you may read and write there, and that its disk is not full.",
    )


def _packages() -> str:
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ToolMissing(
                f"The Python package {name} is not installed.",
                how_to_install_packages(),
            ) from error
    return ", ".join(PACKAGES)


class _Trial:
    """One project on its way from its archive to an answer of the device. Steps in this order."""

    def __init__(self, platform: Platform, scratch: Path, verbose: bool) -> None:
        self._platform = platform
        self._scratch = scratch
        self._verbose = verbose
        self._project: Project

    def take_project(self) -> str:
        if self._platform.is_project:
            self._project = load_project(self._platform)
            return str(self._project.directory)
        archive = self._platform.directory / BUNDLED_MODEL
        self._project = generate(self._platform, archive, self._scratch / "project", {})
        return f"generated from {BUNDLED_MODEL}"

    def build(self) -> str:
        report = build(self._project, verbose=self._verbose)
        return f"firmware of {report.firmware.stat().st_size:,} bytes"

    def flash(self) -> str:
        flash(self._project, verbose=self._verbose)
        return "done" if self._platform.flash_command else "not needed, the firmware is a process here"

    def answers(self) -> str:
        if self._project.project_type == "standalone":
            run_standalone(self._project)
            return "the standalone firmware ran its model"
        return self._run_once() if self._platform.is_project else self._compare()

    def _run_once(self) -> str:
        from runtime.host.device import running_model
        from runtime.host.tensors import read_inputs

        with running_model(self._project) as executor:
            executor.infer(read_inputs((), executor.inputs))
        return "the model ran on the device"

    def _compare(self) -> str:
        """Run bundled images on the device; its answers must be those of the host, to the last bit."""
        import numpy

        from runtime.host.device import running_model
        from runtime.host.tensors import read_arrays

        path = self._platform.directory / BUNDLED_IMAGES
        bundled = read_arrays(path)
        if not isinstance(bundled, dict) or not {"images", "expected"} <= set(bundled):
            raise PlatformError(
                f"{path} does not hold the arrays images and expected.",
                "It came with the platform: restore it, or bake the platform again.",
            )
        images, expected = bundled["images"][:IMAGES], bundled["expected"][:IMAGES]
        with running_model(self._project) as executor:
            for index, image in enumerate(images):
                answer = executor.infer({0: image[numpy.newaxis]})[0]
                if not numpy.array_equal(answer.ravel(), expected[index].ravel()):
                    raise DeviceError(
                        f"The device answers differently from the host on bundled image {index}.",
                        f"If {BUNDLED_MODEL} and {BUNDLED_IMAGES} are as they came, suspect the compiler: "
                        "check again with another one, CC=COMPILER python -m runtime.host check",
                    )
        return f"{len(images)} of {len(images)} bundled images, each answered exactly as on the host"
