# SPDX-License-Identifier: Apache-2.0
"""The cache of libraries: found again by content, never half-written, never in the way."""

import os
import threading

import pytest

from runtime.host import cache as cache_module
from runtime.host.cache import Cache, Digest, default_directory


def library(tmp_path, name="lib.a", content=b"!<arch>\n"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def content_of(cache, name, tmp_path):
    """The content of an entry, or None."""
    target = tmp_path / f"taken-{threading.get_ident()}"
    return target.read_bytes() if cache.take(name, target) else None


def test_what_was_published_is_found_and_nothing_else(tmp_path):
    cache = Cache(tmp_path / "cache")
    assert content_of(cache, "k1", tmp_path) is None
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) == b"!<arch>\n"
    assert content_of(cache, "k2", tmp_path) is None


@pytest.mark.parametrize("damage", [b"", b"short", "half", "flipped", "directory"])
def test_a_damaged_entry_is_an_entry_that_is_not_there(tmp_path, damage):
    cache = Cache(tmp_path / "cache")
    cache.publish("k1", library(tmp_path))
    path = cache.directory / "k1"
    whole = path.read_bytes()
    if damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        changed = {"half": whole[: len(whole) // 2], "flipped": whole[:-1] + b"?"}
        path.write_bytes(changed.get(damage, damage))
    assert content_of(cache, "k1", tmp_path) is None


def test_a_damaged_entry_is_replaced(tmp_path):
    cache = Cache(tmp_path / "cache")
    cache.publish("k1", library(tmp_path))
    (cache.directory / "k1").write_bytes(b"junk")
    assert content_of(cache, "k1", tmp_path) is None
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) == b"!<arch>\n"


def test_a_reader_sees_a_whole_library_or_none_while_others_publish(tmp_path):
    cache = Cache(tmp_path / "cache")
    content = os.urandom(300_000)
    source = library(tmp_path, content=content)
    found = []

    def publish():
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
    assert [path.name for path in cache.directory.iterdir()] == ["same"]


def test_a_directory_that_cannot_be_used_is_a_cache_that_never_hits(tmp_path):
    cache = Cache(tmp_path / "file" / "cache")
    library(tmp_path, "file")
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) is None


def test_a_user_without_a_home_has_a_cache_that_never_hits(tmp_path, monkeypatch):
    for name in ("MICROTVM_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache_module.Path, "home", no_home)
    cache = Cache()
    cache.publish("k1", library(tmp_path))
    assert content_of(cache, "k1", tmp_path) is None


def test_the_least_recently_used_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 2)
    cache = Cache(tmp_path / "cache")
    for age, key in ((30, "old"), (20, "older-but-used")):
        cache.publish(key, library(tmp_path))
        path = cache.directory / key
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    assert content_of(cache, "older-but-used", tmp_path)
    cache.publish("new", library(tmp_path))
    assert content_of(cache, "old", tmp_path) is None
    assert content_of(cache, "older-but-used", tmp_path) is not None
    assert content_of(cache, "new", tmp_path) is not None


def test_a_key_depends_on_names_contents_and_their_borders(tmp_path):
    def key_of(**files):
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


def test_the_place_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MICROTVM_CACHE_DIR", str(tmp_path / "explicit"))
    assert default_directory() == tmp_path / "explicit"
    monkeypatch.delenv("MICROTVM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_directory() == tmp_path / "xdg" / "microtvm-template"
