# SPDX-License-Identifier: Apache-2.0
"""Leftovers: the next run removes those of killed processes, and `clean` removes the rest."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform as HostPlatform
from runtime.host.system.leftovers import (
    CHECK,
    SERVE,
    STAGING,
    find_leftovers,
    hold,
    is_unused,
    remove_leftovers,
    scratch_directory,
)
from tests.conftest import Baker, Platform
from tests.support.api_server import ROOT

SMALL = ROOT / "tests" / "data" / "archives" / "aot_c.tar"
DEADLINE_SEC = 60.0
HOLDER = """
import sys, pathlib
from runtime.host.system.leftovers import scratch_directory
with scratch_directory(pathlib.Path(sys.argv[1]), sys.argv[2]) as path:
    (path / "file").write_text("x")
    (path / "locked").mkdir()
    (path / "locked" / "file").write_text("x")
    (path / "locked").chmod(0o500)
    print(path, flush=True)
    sys.stdin.read()
"""

USER = """
from pathlib import Path
from runtime.host.project.platform import load_platform
from runtime.host.project.project import load_project
load_project(load_platform(Path.cwd()))
print("uses it", flush=True)
input()
"""


@contextlib.contextmanager
def holder_of(parent: Path, prefix: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a process with a scratch directory."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(parent), prefix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())


class TestScratch:
    @pytest.mark.parametrize("prefix", [STAGING, CHECK, SERVE])
    def test_that_of_a_running_process_stays_and_that_of_a_killed_one_goes(
        self, tmp_path: Path, prefix: str
    ) -> None:
        with holder_of(tmp_path, prefix) as (process, path):
            assert remove_leftovers(tmp_path) == [] and (path / "file").exists()
            process.kill()
            process.wait()
            assert find_leftovers(tmp_path) == [path]
            assert remove_leftovers(tmp_path) == [path]
        assert list(tmp_path.iterdir()) == []

    def test_a_process_that_ends_removes_its_own(self, tmp_path: Path) -> None:
        with holder_of(tmp_path, CHECK) as (process, path):
            process.communicate("")
            assert not path.exists()

    def test_it_may_become_something_else(self, tmp_path: Path) -> None:
        with scratch_directory(tmp_path, STAGING) as path:
            (path / "file").touch()
            path.rename(tmp_path / "project")
        assert (tmp_path / "project" / "file").exists()

    def test_other_files_and_links_are_none(self, tmp_path: Path) -> None:
        mine = tmp_path / "mine"
        mine.mkdir()
        name = "0123456789abcdef"
        (tmp_path / f"{STAGING}{name}").symlink_to(mine)
        (tmp_path / f"{CHECK}{name}").touch()
        for other in (f"{STAGING}{name}x", f"{STAGING}of_mine", f"x{STAGING}{name}", "microtvm-check-"):
            (tmp_path / other).mkdir()
        before = sorted(tmp_path.iterdir())
        assert remove_leftovers(tmp_path) == []
        assert sorted(tmp_path.iterdir()) == before

    def test_a_place_that_is_not_there_has_none(self, tmp_path: Path) -> None:
        assert remove_leftovers(tmp_path / "nosuch") == []

    def test_a_project_that_is_held(self, tmp_path: Path) -> None:
        hold(tmp_path)
        hold(tmp_path)
        assert not is_unused(tmp_path)


def scratch_in(places: List[Path]) -> List[str]:
    return [path.name for place in places if place.is_dir() for path in find_leftovers(place)]


@pytest.fixture
def own_platform(bake: Baker) -> Path:
    return bake(platform_name="own").path


def command(platform: Path, *arguments: str, typed: str = "") -> str:
    """Return the output of a command that succeeds. TMPDIR is in the platform's parent directory."""
    done = subprocess.run(
        [sys.executable, "-m", "runtime.host", *arguments],
        cwd=platform,
        env=environment(platform),
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SEC,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def environment(platform: Path) -> dict[str, str]:
    temporary = platform.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary), "MICROTVM_CACHE_DIR": str(platform.parent / "cache")}


@pytest.mark.slow
class TestKilled:
    """Commands killed by SIGKILL: the next command removes their leftovers."""

    def kill_when(self, platform: Path, arguments: List[str], is_time: Callable[[], bool]) -> None:
        """Start a command, and kill it as soon as `is_time` returns true."""
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime.host", *arguments],
            cwd=platform,
            env=environment(platform),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + DEADLINE_SEC
        while not is_time():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def test_while_it_checks(self, own_platform: Path) -> None:
        temporary = own_platform.parent / "tmp"
        self.kill_when(own_platform, ["check"], lambda: bool(list(temporary.glob(f"{CHECK}*"))))
        assert scratch_in([temporary])
        command(own_platform, "build", str(SMALL))
        assert list(temporary.iterdir()) == []

    def test_while_it_generates(self, own_platform: Path) -> None:
        projects = own_platform / "projects"
        self.kill_when(
            own_platform,
            ["build", str(SMALL)],
            lambda: projects.is_dir() and bool(list(projects.glob(f"{STAGING}*"))),
        )
        said = command(own_platform, "build", str(SMALL))
        (project,) = projects.iterdir()
        assert str(project) in said

    def test_while_the_api_server_generates(self, own_platform: Path, tmp_path: Path) -> None:
        place = tmp_path / "place"
        place.mkdir()
        (place / f"{STAGING}0123456789abcdef").mkdir()  # leftover of a killed server
        generate(HostPlatform(own_platform, "own", "make"), SMALL, place / "p", {})
        assert [path.name for path in place.iterdir()] == ["p"]


class TestClean:
    @pytest.fixture
    def used(self, own_platform: Path) -> Path:
        """Return a platform with two projects, a cache, a leftover of each kind, and files of its owner."""
        for optimization in ("O1", "O2"):
            command(own_platform, "build", str(SMALL), "-o", f"optimization={optimization}")
        name = "0123456789abcdef"
        for place, prefix in (("projects", STAGING), ("../tmp", CHECK), ("../tmp", SERVE)):
            (own_platform / place / f"{prefix}{name}").mkdir()
        (own_platform.parent / "cache" / "new-abc").touch()
        (own_platform.parent / "cache" / "mine.txt").touch()
        (own_platform / "projects" / "notes").mkdir()
        (own_platform / "projects" / "notes" / "mine.txt").touch()
        return own_platform

    def left(self, platform: Path) -> List[str]:
        """Return the names in the three places, except the owner's."""
        places = (platform / "projects", platform.parent / "tmp", platform.parent / "cache")
        return [
            path.name
            for place in places
            for path in place.iterdir()
            if path.name not in ("notes", "mine.txt")
        ]

    @pytest.mark.slow
    def test_it_asks_first_and_then_removes_all_but_what_is_the_owners(self, used: Path) -> None:
        before = self.left(used)
        said = command(used, "clean", "--dry-run")
        assert "Would remove" in said and self.left(used) == before
        assert said.count("project  ") == 2 and said.count("leftover ") == 4 and said.count("cache    ") == 1
        said = command(used, "clean", typed="n\n")
        assert "Nothing was removed." in said and self.left(used) == before
        said = command(used, "clean", "--older-than", "1", "--yes")
        assert "Nothing to remove." in said and self.left(used) == before
        said = command(used, "clean", typed="y\n")
        assert "Removed" in said and self.left(used) == []
        assert (used / "projects" / "notes" / "mine.txt").exists()
        assert (used.parent / "cache" / "mine.txt").exists()
        assert "Nothing to remove." in command(used, "clean", "--yes")

    @pytest.mark.slow
    def test_what_is_old_edited_or_in_use(self, used: Path) -> None:
        first, second = sorted(path.parent for path in used.glob("projects/*/project.json"))
        long_ago = time.time() - 10 * 86400
        for directory, _, names in os.walk(first):
            for name in (*names, "."):
                os.utime(Path(directory) / name, (long_ago, long_ago))
        command(used, "clean", "--older-than", "7", "--yes")
        assert not first.exists() and second.exists()
        later = (second / "project.json").stat().st_mtime + 100
        os.utime(second / "src" / "model_config.c", (later, later))
        said = command(used, "clean", "--yes")
        assert f"kept     {second}: edited" in said and second.exists()
        with subprocess.Popen(
            [
                sys.executable,
                "-c",
                USER,
            ],
            cwd=second,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as user:
            assert user.stdout is not None
            assert select.select([user.stdout], [], [], DEADLINE_SEC)[0]
            said = command(used, "clean", "--yes", "--edited")
            assert f"kept     {second}: a running process uses it" in said and second.exists()
            user.communicate(b"\n")
        command(used, "clean", "--yes", "--edited")
        assert not second.exists()

    def test_of_a_project_and_with_a_wrong_number(self, default_platform: Platform, tmp_path: Path) -> None:
        generate(HostPlatform(default_platform.path, "own", "make"), SMALL, tmp_path / "p", {})
        for place, arguments in (
            (tmp_path / "p", ["--yes"]),
            (default_platform.path, ["--older-than", "nan"]),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "runtime.host", "clean", *arguments],
                cwd=place,
                capture_output=True,
                text=True,
                check=False,
                timeout=DEADLINE_SEC,
            )
            assert done.returncode in (1, 2) and "Traceback" not in done.stderr and done.stderr
        assert (tmp_path / "p" / "project.json").exists()
