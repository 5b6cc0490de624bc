# SPDX-License-Identifier: Apache-2.0
"""The cache of libraries: found again by content, never half-written, never in the way."""

import os
import threading

from runtime.host import cache as cache_module
from runtime.host.cache import Cache, Digest, default_directory


def library(tmp_path, name="lib.a", content=b"!<arch>\n"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_what_was_published_is_found_and_nothing_else(tmp_path):
    cache = Cache(tmp_path / "cache")
    assert cache.find("k1") is None
    cache.publish("k1", library(tmp_path))
    assert cache.find("k1").read_bytes() == b"!<arch>\n"
    assert cache.find("k2") is None


def test_a_reader_sees_a_whole_library_or_none_while_others_publish(tmp_path):
    cache = Cache(tmp_path / "cache")
    content = os.urandom(300_000)
    source = library(tmp_path, content=content)
    wrong = []

    def publish():
        for _ in range(20):
            cache.publish("same", source)

    writers = [threading.Thread(target=publish) for _ in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        found = cache.find("same")
        if found is not None and found.read_bytes() != content:
            wrong.append(found)
    for writer in writers:
        writer.join()
    assert not wrong
    assert [path.name for path in cache.directory.iterdir()] == ["same"]


def test_a_directory_that_cannot_be_used_is_a_cache_that_never_hits(tmp_path):
    cache = Cache(tmp_path / "file" / "cache")
    library(tmp_path, "file")
    cache.publish("k1", library(tmp_path))
    assert cache.find("k1") is None


def test_the_least_recently_used_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 2)
    cache = Cache(tmp_path / "cache")
    for age, key in ((30, "old"), (20, "older-but-used")):
        cache.publish(key, library(tmp_path))
        path = cache.find(key)
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    cache.find("older-but-used")
    cache.publish("new", library(tmp_path))
    assert cache.find("old") is None
    assert cache.find("older-but-used") is not None
    assert cache.find("new") is not None


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
