# SPDX-License-Identifier: Apache-2.0
"""Cache of libraries: found by content, never incomplete, and never the cause of a failed build."""

import fcntl
import os
import threading
from pathlib import Path
from typing import Callable, NoReturn, Optional, Union

import pytest

from runtime.host.system import cache as cache_module
from runtime.host.system.cache import Cache, Digest, default_directory


def library(tmp_path: Path, name: str = "lib.a", content: bytes = b"!<arch>\n") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def directory_of(cache: Cache) -> Path:
    assert cache.directory is not None
    return cache.directory


def content_of(cache: Cache, name: str, tmp_path: Path) -> Optional[bytes]:
    """Return the content of an entry, or None."""
    target = tmp_path / f"taken-{threading.get_ident()}"
    return target.read_bytes() if cache.fetch(name, target) else None


def test_what_was_published_is_found_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert content_of(cache, "k1", tmp_path) is None
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) == b"!<arch>\n"
    assert content_of(cache, "k2", tmp_path) is None


@pytest.mark.parametrize("damage", [b"", b"short", "half", "flipped", "directory"])
def test_a_damaged_entry_is_an_entry_that_is_not_there(tmp_path: Path, damage: Union[bytes, str]) -> None:
    cache = Cache(tmp_path / "cache")
    cache.publish("k1", library(tmp_path))
    path = directory_of(cache) / "k1"
    whole = path.read_bytes()
    if damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        changed = {"half": whole[: len(whole) // 2], "flipped": whole[:-1] + b"?"}
        path.write_bytes(damage if isinstance(damage, bytes) else changed[damage])
    assert content_of(cache, "k1", tmp_path) is None


def test_a_damaged_entry_is_replaced(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.publish("k1", library(tmp_path))
    (directory_of(cache) / "k1").write_bytes(b"junk")
    assert content_of(cache, "k1", tmp_path) is None
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) == b"!<arch>\n"


def test_a_reader_sees_a_whole_library_or_none_while_others_publish(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    content = os.urandom(300_000)
    source = library(tmp_path, content=content)
    found = []

    def publish() -> None:
        for _ in range(20):
            cache.publish("same", source)

    writers = [threading.Thread(target=publish) for _ in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        found.append(content_of(cache, "same", tmp_path))
    for writer in writers:
        writer.join()
    assert {entry for entry in found if entry is not None} <= {content}
    assert [path.name for path in directory_of(cache).iterdir()] == ["same"]


def test_a_directory_that_cannot_be_used_is_a_cache_that_never_hits(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "file" / "cache")
    library(tmp_path, "file")
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) is None


def test_a_user_without_a_home_has_a_cache_that_never_hits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MICROTVM_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home() -> NoReturn:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    cache = Cache()
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) is None


def entry(letter: str) -> str:
    """Return an entry name as builds form it."""
    return f"libmicrotvm_model-{letter * 40}.a"


def test_the_least_recently_used_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 2)
    cache = Cache(tmp_path / "cache")
    old, used, new = map(entry, "abc")
    for age, key in ((30, old), (20, used)):
        cache.publish(key, library(tmp_path))
        path = directory_of(cache) / key
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    assert content_of(cache, used, tmp_path)
    cache.publish(new, library(tmp_path))
    assert content_of(cache, old, tmp_path) is None
    assert content_of(cache, used, tmp_path) is not None
    assert content_of(cache, new, tmp_path) is not None


def test_files_of_others_in_the_directory_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that other files stay, since MICROTVM_CACHE_DIR may name any directory."""
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 1)
    mine = library(tmp_path, "mine.txt")
    os.utime(mine, (0, 0))
    cache = Cache(tmp_path)
    for letter in "ab":
        cache.publish(entry(letter), library(tmp_path))
    assert mine.exists()
    assert cache.entries() == [tmp_path / entry("b")]


def test_an_entry_under_another_name_is_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.publish("k1", library(tmp_path))
    (directory_of(cache) / "k1").rename(directory_of(cache) / "k2")
    assert content_of(cache, "k2", tmp_path) is None


def test_an_entry_that_is_a_pipe_or_a_device_is_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.publish("k1", library(tmp_path))
    os.mkfifo(directory_of(cache) / "pipe")
    (directory_of(cache) / "endless").symlink_to("/dev/zero")
    with (directory_of(cache) / "large").open("wb") as file:
        file.truncate(cache_module.MAX_ENTRY_BYTES * 3)
    for name in ("pipe", "endless", "large"):
        assert content_of(cache, name, tmp_path) is None


class TestSeveralUsers:
    """Simulated second user, because only root can act as two users."""

    def test_an_entry_of_another_user_is_not_used_and_that_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = Cache(tmp_path / "cache")
        cache.publish("k1", library(tmp_path))
        monkeypatch.setattr(os, "getuid", lambda: (directory_of(cache) / "k1").stat().st_uid + 1)
        assert content_of(cache, "k1", tmp_path) is None
        assert "another user" in cache.note and "MICROTVM_CACHE_DIR" in cache.note

    def test_each_has_a_directory_of_their_own_in_one_of_somebody_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared = tmp_path / "shared"
        shared.mkdir()
        give_away(monkeypatch, shared)
        cache = Cache(shared)
        cache.publish("k1", library(tmp_path))
        assert cache.directory == shared / f"user-{os.getuid()}"
        assert directory_of(cache).stat().st_mode & 0o777 == 0o700
        assert content_of(Cache(shared), "k1", tmp_path) == b"!<arch>\n"
        assert str(cache.directory) in cache.note

    def test_one_that_is_made_to_look_like_ones_own_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared = tmp_path / "shared"
        disguised = shared / f"user-{os.getuid()}"
        disguised.mkdir(parents=True)
        give_away(monkeypatch, shared, disguised)
        cache = Cache(shared)
        assert cache.directory is None and "is not used" in cache.note
        cache.publish("k1", library(tmp_path))
        assert content_of(cache, "k1", tmp_path) is None


def give_away(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Simulate paths that another user owns, because only root can change the owner."""
    for name in ("stat", "lstat"):
        real = getattr(Path, name)

        def look(self: Path, real: Callable[..., os.stat_result] = real, **options: bool) -> os.stat_result:
            status = real(self, **options)
            if self not in paths:
                return status
            return os.stat_result((*status[:4], status.st_uid + 1, *status[5:]))

        monkeypatch.setattr(Path, name, look)


def test_what_a_killed_process_has_begun_is_removed_and_what_a_running_one_writes_is_not(
    tmp_path: Path,
) -> None:
    cache = Cache(tmp_path / "cache")
    cache.publish("k1", library(tmp_path))
    begun, written = (directory_of(cache) / f"new-{name}" for name in ("begun", "written"))
    begun.touch()
    with written.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert cache.leftovers() == [begun]
        cache.publish("k2", library(tmp_path))
        assert written.exists() and not begun.exists()


def test_a_key_depends_on_names_contents_and_their_borders(tmp_path: Path) -> None:
    def key_of(**files: str) -> str:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        paths = []
        for name, text in files.items():
            paths.append(root / name)
            paths[-1].write_text(text)
        digest = Digest()
        digest.add_files(root, paths)
        return digest.key()

    keys = {key_of(a="1", b="2"), key_of(a="12", b=""), key_of(a="1", c="2"), key_of(a="2", b="1")}
    assert len(keys) == 4
    assert key_of(a="1", b="2") in keys


def test_the_place_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROTVM_CACHE_DIR", str(tmp_path / "explicit"))
    assert default_directory() == tmp_path / "explicit"
    monkeypatch.delenv("MICROTVM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_directory() == tmp_path / "xdg" / "microtvm-template"
