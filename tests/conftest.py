# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests: `bake(build_system="cmake")` writes a platform, `default_platform` is shared."""

from __future__ import annotations

import io
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Set
from unittest import mock

import pytest
from cookiecutter.main import cookiecutter
from pytest_cookies.plugin import Cookies

TEMPLATE = Path(__file__).resolve().parents[1]


# CI may skip tests for one of the four CPython versions; another test requires three of the four versions.
# All other tests must run in CI.
OPTIONAL_IN_CI = "CPython 3."


class NoSkipsInCI:
    """Plugin that fails a run in CI if a test was skipped, and prints the names of skipped tests."""

    def __init__(self) -> None:
        self.skipped: List[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].replace("Skipped: ", "", 1)
            if not reason.startswith(OPTIONAL_IN_CI):
                self.skipped.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.skipped:
            terminalreporter.write_line(f"Test skipped in CI: {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with these signals ignored, and children inherit that. Tests of Ctrl-C
    # would then hang.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGHUP else signal.default_int_handler)
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(NoSkipsInCI())


@dataclass(frozen=True)
class Platform:
    """Directory of a baked platform."""

    path: Path

    def files(self) -> Set[str]:
        """Return the relative paths of all files, with forward slashes and without compiled Python files."""
        return {
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def rendered_files(self) -> Set[str]:
        """Return the files that Cookiecutter rendered, without those that it copied unchanged."""
        return {name for name in self.files() if not name.startswith(("runtime/", "models/"))}

    def text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")


class Baker:
    """Callable that bakes platforms in this process, each in a new directory unless `into` is given.

    Args:
        scratch: Directory for the Cookiecutter configuration and the platforms.
        cookies: Fixture of pytest-cookies; used if only answers are given. Its bake() has no parameters for
            the output directory, for typed answers and for overwriting. Cookiecutter is called directly for
            these, and for all calls if cookies is None.
    """

    def __init__(self, scratch: Path, cookies: Optional[Cookies] = None) -> None:
        self.scratch = scratch
        self.cookies = cookies
        self.config_file = scratch / "cookiecutter.yaml"
        self.config_file.write_text(
            f"cookiecutters_dir: {scratch / 'cookiecutters'}\nreplay_dir: {scratch / 'replay'}\n",
            encoding="utf-8",
        )
        self._count = 0

    def __call__(
        self,
        *,
        into: Optional[Path] = None,
        typed: Optional[Sequence[str]] = None,
        overwrite: bool = False,
        template: Path = TEMPLATE,
        **answers: str,
    ) -> Platform:
        """Bake a platform.

        Args:
            into: Parent directory of the platform. Default: a new directory.
            typed: Lines that a user types, one for each question. Used instead of `answers`.
            overwrite: Write over an existing platform.
            template: Directory of the template.
            answers: Answers by question. Questions without an answer get their default.

        Raises:
            Exception: Whatever Cookiecutter raises. The message of a failed hook goes to stderr (capfd).
        """
        if self.cookies is not None and into is None and typed is None and not overwrite:
            result = self.cookies.bake(extra_context=answers, template=str(template))
            if result.exception is not None:
                raise result.exception
            return Platform(result.project_path)
        if into is None:
            self._count += 1
            into = self.scratch / f"bake{self._count}"
        keyboard = io.StringIO("".join(f"{line}\n" for line in typed or ()))
        with mock.patch.object(sys, "stdin", keyboard):
            path = cookiecutter(
                str(template),
                no_input=typed is None,
                extra_context=answers,
                output_dir=str(into),
                overwrite_if_exists=overwrite,
                config_file=str(self.config_file),
            )
        return Platform(Path(path))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the builds of all tests one library cache that is not the user's cache."""
    with mock.patch.dict(os.environ, MICROTVM_CACHE_DIR=str(tmp_path_factory.mktemp("cache"))):
        yield


@pytest.fixture
def bake(tmp_path: Path, cookies: Cookies) -> Baker:
    """Return a Baker for this test's directory. With --keep-baked-projects the platforms are kept."""
    return Baker(tmp_path, cookies)


@pytest.fixture(scope="session")
def bake_shared(tmp_path_factory: pytest.TempPathFactory, cookies_session: Cookies) -> Baker:
    """Return a Baker for platforms that several tests share, for fixtures of a wider scope than one test."""
    return Baker(tmp_path_factory.mktemp("shared"), cookies_session)


@pytest.fixture(scope="session")
def default_platforms(bake_shared: Baker) -> Dict[str, Platform]:
    """Return one platform per build system, otherwise with defaults. Tests must not change them."""
    return {
        name: bake_shared(build_system=name, platform_name=f"{name} platform") for name in ("make", "cmake")
    }


@pytest.fixture(scope="session")
def default_platform(default_platforms: Dict[str, Platform]) -> Platform:
    """Return the platform with all defaults, to read, build and run. Tests must not change it."""
    return default_platforms["make"]
