# SPDX-License-Identifier: Apache-2.0
"""What every test may say: `platform = bake(build_system="cmake")`, or `default_platform` to read only."""

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


# What skips may say in CI, where another test demands three of the four versions. Everything else runs there.
OPTIONAL_IN_CI = "CPython 3."


class NoSkipsInCI:
    """Fails a run in CI that skipped a test, and names it."""

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
            terminalreporter.write_line(f"CI may not skip {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    # In the background of a shell these are ignored, and programs inherit that: no test of Ctrl-C would end.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGHUP else signal.default_int_handler)
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(NoSkipsInCI())


@dataclass(frozen=True)
class Platform:
    """A baked platform."""

    path: Path

    def files(self) -> Set[str]:
        """Every file, relative and with forward slashes. Byte code that a run left behind does not count."""
        return {
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def rendered_files(self) -> Set[str]:
        """The files that were rendered, and not copied as they are."""
        return {name for name in self.files() if not name.startswith(("runtime/", "models/"))}

    def text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")


class Baker:
    """Bakes platforms in this process, each into a directory of its own unless told where.

    cookies: the fixture of pytest-cookies that bakes where only answers are given. Its bake() has no word for
    what else is asked here: it says itself where it bakes (into), nobody sits at its keyboard (typed), and it
    never bakes over what is there (overwrite). Cookiecutter does these, and all where there are no fixtures.
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
        """Bake with these answers; those not given have their defaults.

        typed: instead, what a user types at each question in turn. Raises what Cookiecutter raises; a hook's
        own sentence goes to stderr (capfd).
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
    """Builds of the tests share a cache of libraries that is theirs, and not the user's."""
    with mock.patch.dict(os.environ, MICROTVM_CACHE_DIR=str(tmp_path_factory.mktemp("cache"))):
        yield


@pytest.fixture
def bake(tmp_path: Path, cookies: Cookies) -> Baker:
    """Bakes into this test's own directory. --keep-baked-projects: what it baked outlives the test."""
    return Baker(tmp_path, cookies)


@pytest.fixture(scope="session")
def bake_shared(tmp_path_factory: pytest.TempPathFactory, cookies_session: Cookies) -> Baker:
    """Bakes what several tests share, for fixtures of a wider scope than one test."""
    return Baker(tmp_path_factory.mktemp("shared"), cookies_session)


@pytest.fixture(scope="session")
def default_platforms(bake_shared: Baker) -> Dict[str, Platform]:
    """One platform for each build system, all else default. To read, build and run; not to be changed."""
    return {
        name: bake_shared(build_system=name, platform_name=f"{name} platform") for name in ("make", "cmake")
    }


@pytest.fixture(scope="session")
def default_platform(default_platforms: Dict[str, Platform]) -> Platform:
    """The platform of all defaults. For reading, building and running; not to be changed."""
    return default_platforms["make"]
