# SPDX-License-Identifier: Apache-2.0
"""Hostile archives: each is refused with an error message and writes nothing outside of its directory."""

from __future__ import annotations

import gzip
import os
import tarfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.host.archive import tar
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.archive.tar import EXTRA_FILES, read_tar, write_files
from runtime.host.errors import ArchiveError
from runtime.host.system.regular_files import MAX_CONTENT_BYTES
from tests.support.archives import archive_bytes, full_model, member, tar_bytes, write_archive

MODELS = Path(__file__).resolve().parents[1] / "data" / "models"

Member = Tuple[tarfile.TarInfo, bytes]


def unpack_tar(path: Path, directory: Path) -> None:
    """Unpack a whole tar of extra files, as the generation of a project does."""
    files = read_tar(path, EXTRA_FILES)
    write_files(files, files.names(), directory)


def with_member(name: str, content: str = "evil", **keywords: Any) -> Callable[[], bytes]:
    """Return a function that makes a valid archive and adds this member."""
    return lambda: archive_bytes(full_model(), member(name, content, **keywords))


def with_members(*members: Member) -> Callable[[], bytes]:
    return lambda: archive_bytes(full_model(), *members)


def with_header(position: int, field: bytes, content: bytes = b"evil") -> Callable[[], bytes]:
    """Return a function that makes a valid archive and a member with this header field.

    The checksum of the header is correct.
    """

    def build() -> bytes:
        info, data = member("codegen/host/src/odd.c", content)
        block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
        block[position : position + len(field)] = field
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        good = archive_bytes(full_model()).rstrip(b"\0")
        return good + bytes(-len(good) % 512) + bytes(block) + data + bytes(-len(data) % 512 + 1024)

    return build


def pax(records: bytes, kind: bytes = b"x") -> Callable[[], bytes]:
    """Return a function that makes a valid archive, a pax header with these records, and a file."""
    header = member("PaxHeader", records, kind=kind)
    # GNU format: in pax format tarfile would write headers of these two kinds itself, and only valid ones.
    return lambda: tar_bytes(
        [*(member(f"./{n}", c) for n, c in full_model().items()), header, member("codegen/host/src/odd.c")],
        tar_format=tarfile.GNU_FORMAT,
    )


def pax_record(key: str, value: str) -> bytes:
    length = len(key) + len(value) + 5
    return f"{length + 1 if length > 99 else length} {key}={value}\n".encode()


def cut_after(count: int) -> Callable[[], bytes]:
    """Return an archive cut between two members, so that no member is damaged."""
    return lambda: (
        archive_bytes(dict(list(full_model().items())[:count])).rstrip(b"\0").ljust(512 * 2 * count, b"\0")
    )


def cut_real(count: int) -> Callable[[], bytes]:
    return lambda: (MODELS / "kws_i8_graph.tar").read_bytes()[:count]


def gzip_damaged() -> bytes:
    data = bytearray(archive_bytes(full_model(), mode="w:gz"))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


def many_members() -> bytes:
    block = member("codegen/host/src/a.c")[0].tobuf(tarfile.USTAR_FORMAT)
    directory = member("codegen", kind=tarfile.DIRTYPE)[0].tobuf(tarfile.USTAR_FORMAT)
    return block + directory * (tar.MAX_ENTRIES + 1) + bytes(1024)


def many_directories() -> bytes:
    """Return an archive of few members, each in hundreds of new directories."""
    return tar_bytes([member(f"{index}/" + "d/" * 480 + "a.c") for index in range(30)])


def long_link() -> bytes:
    """Return an archive with a link whose long target needs an extra header."""
    link = member("evil", kind=LINK, target="/" + "x" * 200)
    return tar_bytes([member("metadata.json", "{}"), link], tar_format=tarfile.GNU_FORMAT)


def pax_chain() -> bytes:
    """Return extended headers of extended headers, which tarfile reads recursively."""
    header = member("PaxHeader", pax_record("path", "evil.c"), kind=b"x")
    return tar_bytes([header] * 2000 + [member("a.c")], tar_format=tarfile.GNU_FORMAT)


LINK = tarfile.SYMTYPE
REFUSED: List[Tuple[str, Callable[[], bytes], List[str]]] = [
    ("absolute", with_member("/tmp/evil.c"), ["'/tmp/evil.c'", "absolute path"]),
    ("two-slashes", with_member("//evil.c"), ["'//evil.c'", "absolute path"]),
    ("parent", with_member("../evil.c"), ["'../evil.c'", "'..'"]),
    ("inner-parent", with_member("codegen/../../evil.c"), ["'codegen/../../evil.c'", "'..'"]),
    ("parent-only", with_member("..", kind=tarfile.DIRTYPE), ["'..'"]),
    ("backslash", with_member("codegen\\..\\evil.c"), ["backslash"]),
    ("drive", with_member("C:/evil.c"), ["'C:/evil.c'", "colon"]),
    ("symlink", with_member("codegen/evil", kind=LINK, target="/etc"), ["'codegen/evil'", "symbolic link"]),
    ("symlink-inside", with_member("evil", kind=LINK, target="codegen"), ["'evil'", "symbolic link"]),
    (
        "through-symlink",
        with_members(member("out", kind=LINK, target=".."), member("out/evil.c", "evil")),
        ["'out'", "symbolic link"],
    ),
    ("hardlink", with_member("evil", kind=tarfile.LNKTYPE, target="/etc/passwd"), ["'evil'", "hard link"]),
    ("fifo", with_member("evil", "", kind=tarfile.FIFOTYPE), ["'evil'", "named pipe"]),
    ("character-device", with_member("evil", "", kind=tarfile.CHRTYPE), ["'evil'", "character device"]),
    ("block-device", with_member("evil", "", kind=tarfile.BLKTYPE), ["'evil'", "block device"]),
    ("sparse", with_header(156, b"S"), ["odd.c", "sparse"]),
    ("unknown-type", with_header(156, b"Z"), ["odd.c", "unknown type"]),
    ("link-header-alone", with_header(156, b"K"), ["damaged after member"]),
    ("long-link", long_link, ["'evil'", "symbolic link"]),
    ("twice", with_member("metadata.json", "{}"), ["'metadata.json'", "duplicate"]),
    ("twice-in-disguise", with_member(".//metadata.json", "{}"), ["'metadata.json'", "duplicate"]),
    ("file-over-directory", with_member("codegen/host"), ["'codegen/host'", "both a file and a directory"]),
    ("file-as-directory", with_member("metadata.json/evil"), ["'metadata.json'", "is a file"]),
    (
        "directory-over-file",
        with_member("metadata.json", "", kind=tarfile.DIRTYPE),
        ["'metadata.json'", "is a file"],
    ),
    ("control", with_member("codegen/ev\x1bil"), ["control character"]),
    ("newline", with_member("codegen/ev\nil"), ["control character"]),
    ("no-name", with_header(0, bytes(100)), ["''", "name of a directory"]),
    ("dot", with_member("."), ["'.'", "name of a directory"]),
    ("long-part", with_member("codegen/" + "x" * 256), ["too long"]),
    ("long-name", with_member("x/" * 600 + "y"), ["too long"]),
    ("not-utf8", with_header(0, b"codegen/\xff\xfe"), ["not UTF-8"]),
    ("nul-in-pax-name", pax(pax_record("path", "a\0b")), ["control character"]),
    ("pax-parent", pax(pax_record("path", "../evil.c")), ["'../evil.c'", "'..'"]),
    ("pax-absolute", pax(pax_record("path", "/evil.c")), ["absolute path"]),
    ("pax-size", pax(pax_record("size", "99999999999999")), ["odd.c", "99,999,999,999,999 bytes"]),
    ("pax-global", pax(pax_record("path", "x"), kind=b"g"), ["sets 'path'"]),
    ("pax-sparse", pax(pax_record("GNU.sparse.map", "0,1")), ["sets 'GNU.sparse.map'"]),
    # Some versions of tarfile accept the 99 bytes; then the name is refused.
    ("pax-damaged", pax(b"99 path=x\n"), []),
    ("pax-no-length", pax(b"path=x\n"), ["damaged"]),
    ("pax-large", pax(bytes(70_000)), ["headers of a member take more than 8 KiB"]),
    ("pax-chain", pax_chain, ["headers of a member take more than 8 KiB"]),
    ("pax-global-comment", pax(pax_record("comment", "x"), kind=b"g"), ["sets 'comment'"]),
    ("gnu-name-parent", pax(b"../evil.c\0", kind=b"L"), ["'../evil.c'", "'..'"]),
    ("declared-bomb", with_header(124, b"77777777777\0"), ["odd.c", "declares 8,589,934,591 bytes"]),
    ("declared-bomb-256", with_header(124, b"\x80" + b"\xff" * 11), ["odd.c", "declares"]),
    ("negative-size", with_header(124, b"\xff" * 12), ["damaged"]),
    ("size-text", with_header(124, b"123x\0"), ["damaged after member", "number"]),
    ("size-beyond-end", with_header(124, b"00000040000\0"), ["truncated inside member", "odd.c"]),
    ("many-members", many_members, ["more than 10,000 members"]),
    ("many-directories", many_directories, ["more than 10,000 members"]),
    ("gzip-damaged", gzip_damaged, ["damaged gzip"]),
    ("gzip-cut", lambda: archive_bytes(full_model(), mode="w:gz")[:-9], ["truncated", "gzip"]),
    ("gzip-of-text", lambda: gzip.compress(b"hello " * 200), ["not a tar file"]),
    ("cut-between-members", cut_after(3), ["truncated after member", "default_lib1.c"]),
    ("cut-in-header", cut_real(10 * 512 + 100), ["truncated"]),
    ("cut-in-file", cut_real(100_000), ["truncated inside member", "default_lib1.c"]),
    ("cut-in-first-block", cut_real(100), ["not a tar file"]),
    ("empty", lambda: b"", ["is empty"]),
    ("zeros", lambda: bytes(10240), ["contains no files"]),
    ("text", lambda: b"hello\n" * 300, ["not a tar file"]),
    ("zip", lambda: b"PK\x03\x04" + bytes(1000), ["a zip file, not a tar file"]),
    ("xz", lambda: b"\xfd7zXZ\x00" + bytes(1000), ["an xz file, not a tar file"]),
]


@pytest.mark.parametrize(
    ("build", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused(tmp_path: Path, build: Callable[[], bytes], words: List[str]) -> None:
    room = tmp_path / "room"
    room.mkdir()
    path = tmp_path / "model.tar"
    path.write_bytes(build())
    with pytest.raises(ArchiveError) as caught:
        ModelArchive.open(path).unpack(room / "model")
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert str(path) in caught.value.what and caught.value.next_step
    assert list(room.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == [path, room]


@pytest.mark.parametrize("limit_mib", [2, pytest.param(256, marks=pytest.mark.slow)])
def test_a_gzip_bomb_is_not_decompressed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_mib: int
) -> None:
    limit = limit_mib * 1024 * 1024
    monkeypatch.setattr(tar, "MAX_CONTENT_BYTES", limit)
    path = tmp_path / "model.tar"
    path.write_bytes(gzip.compress(bytes(limit + 512), compresslevel=1))
    with pytest.raises(ArchiveError, match=f"decompresses to more than {limit_mib} MiB"):
        ModelArchive.open(path)


@pytest.mark.parametrize("name", ["missing.tar", "with\0nul.tar", "x" * 300])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError):
        ModelArchive.open(tmp_path / name)


def test_directory_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is a directory, not a model archive"):
        ModelArchive.open(tmp_path)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(ArchiveError, match="not a regular file"):
        ModelArchive.open(tmp_path / "pipe.tar")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate an unreadable file, because root can read every file."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    path = write_archive(tmp_path / "model.tar")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ArchiveError, match="cannot be read: Permission denied"):
        ModelArchive.open(path)


def test_a_sparse_giant_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.tar"
    with path.open("wb") as file:
        file.truncate(MAX_CONTENT_BYTES + 1)
    with pytest.raises(ArchiveError, match="larger than 256 MiB"):
        ModelArchive.open(path)


def test_modes_and_owners_of_the_archive_are_ignored(tmp_path: Path) -> None:
    info, data = member("tool.sh", "#!/bin/sh\n")
    info.mode, info.uid, info.uname = 0o6777, 12345, "somebody"
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes([(info, data)]))
    unpack_tar(path, tmp_path / "out")
    status = (tmp_path / "out" / "tool.sh").stat()
    assert status.st_mode & 0o7111 == 0
    assert status.st_uid == os.getuid()


EXTRA = [
    ("missing", None, "does not exist; expected a tar of extra files"),
    ("empty", b"", "is empty"),
    ("text", b"hello\n" * 300, "not a tar file"),
    ("zeros", bytes(10240), "contains no files"),
    ("gzip-cut", archive_bytes({"a.c": ""}, mode="w:gz")[:-9], "truncated"),
    ("cut", archive_bytes({"a.c": "x" * 600})[:700], "truncated"),
    ("link", tar_bytes([member("a", kind=LINK, target="b")]), "symbolic link"),
    ("parent", tar_bytes([member("../a.c")]), "points outside"),
    ("pax-global", tar_bytes([member("h", pax_record("comment", "x"), kind=b"g"), member("a.c")]), "comment"),
]


@pytest.mark.parametrize(("data", "words"), [case[1:] for case in EXTRA], ids=[case[0] for case in EXTRA])
def test_a_tar_of_extra_files_is_not_called_a_model(
    tmp_path: Path, data: Optional[bytes], words: str
) -> None:
    path = tmp_path / "extra.tar"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ArchiveError, match=words) as caught:
        unpack_tar(path, tmp_path / "extra")
    assert "model" not in str(caught.value).replace(str(path), "").lower()
    assert caught.value.next_step


def test_a_directory_in_place_of_extra_files(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is a directory, not a tar of extra files"):
        unpack_tar(tmp_path, tmp_path / "extra")


def test_a_directory_in_use_is_left_alone(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "model.tar")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("keep")
    with pytest.raises(ArchiveError, match="exists and is not an empty directory"):
        ModelArchive.open(path).unpack(tmp_path / "model")
    assert [entry.name for entry in (tmp_path / "model").iterdir()] == ["mine"]


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "model.tar")
    (tmp_path / "model").mkdir()
    ModelArchive.open(path).unpack(tmp_path / "model")
    assert (tmp_path / "model" / "metadata.json").is_file()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_archive(tmp_path / "model.tar")
    archive = ModelArchive.open(path)
    real_read = tar.TarFiles.read
    count = 0

    def read(self: tar.TarFiles, name: str, start: int = 0, limit: Optional[int] = None) -> bytes:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device")
        return real_read(self, name, start, limit)

    monkeypatch.setattr(tar.TarFiles, "read", read)
    with pytest.raises(ArchiveError, match="No space left on device"):
        archive.unpack(tmp_path / "model")
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_a_file_system_takes_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a file system that ignores letter case: the second file must not replace the first."""
    path = write_archive(tmp_path / "model.tar")
    files = read_tar(path)
    with pytest.raises(ArchiveError, match="File exists"):
        tar.write_files(files, ["metadata.json", "metadata.json"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_but_honest_names(tmp_path: Path, tar_format: int) -> None:
    """Check names longer than the 100 bytes of a header, and dates that need pax headers."""
    name = "codegen/host/src/" + "n" * 60 + "/" + "m" * 90 + ".c"
    info, data = member(name, "int x;")
    info.mtime = 1.5
    if tar_format != tarfile.PAX_FORMAT:
        info.mtime = 1
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes([(info, data)], tar_format=tar_format))
    assert read_tar(path).names() == [name]
    assert read_tar(path).read(name) == b"int x;"


REAL = (MODELS / "mlp_f32_aot.tar").read_bytes()
REAL_GZIP = gzip.compress(REAL, mtime=0)


def contents(path: Path) -> Dict[str, bytes]:
    files = read_tar(path)
    return {name: files.read(name) for name in files.names()}


def outcome(path: Path, data: bytes) -> Optional[Dict[str, bytes]]:
    """Return the content of an archive after use of all its parts, or None if it is refused."""
    path.write_bytes(data)
    try:
        archive = ModelArchive.open(path)
        assert archive.inputs is not None and archive.outputs is not None
        assert archive.interface and archive.workspace_size_bytes >= 0
        return contents(path)
    except ArchiveError:
        return None


FUZZ = settings(max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(length=st.integers(0, len(REAL) - 1))
def test_cut_anywhere(tmp_path: Path, length: int) -> None:
    """Check that a cut archive is refused, or lost only padding after the end mark."""
    found = outcome(tmp_path / "cut.tar", REAL[:length])
    assert found is None or found == contents(MODELS / "mlp_f32_aot.tar")


@FUZZ
@given(length=st.integers(0, len(REAL_GZIP) - 1))
def test_gzip_cut_anywhere(tmp_path: Path, length: int) -> None:
    assert outcome(tmp_path / "cut.tar.gz", REAL_GZIP[:length]) is None


@FUZZ
@given(place=st.integers(0, len(REAL_GZIP) - 1), flip=st.integers(1, 255))
def test_gzip_byte_flipped(tmp_path: Path, place: int, flip: int) -> None:
    """Check flipped bytes: a checksum covers the data; other gzip fields, such as the date, may change."""
    data = bytearray(REAL_GZIP)
    data[place] ^= flip
    found = outcome(tmp_path / "flip.tar.gz", bytes(data))
    assert found is None or found == contents(MODELS / "mlp_f32_aot.tar")


def header_blocks(data: bytes) -> List[int]:
    return [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]


@FUZZ
@given(block=st.sampled_from(header_blocks(REAL)), place=st.integers(0, 511), flip=st.integers(1, 255))
def test_header_byte_flipped(tmp_path: Path, block: int, place: int, flip: int) -> None:
    data = bytearray(REAL)
    data[block + place] ^= flip
    found = outcome(tmp_path / "flip.tar", bytes(data))
    assert found is None or found == contents(MODELS / "mlp_f32_aot.tar")


METADATA = REAL.index(b'"modules"')
RELAY = REAL.index(b"def @main(")
C_TENSORS = REAL.index(b"kTvmgenMetadata_inputs")


@FUZZ
@given(
    start=st.sampled_from([METADATA, RELAY, C_TENSORS]),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_content_bytes_flipped(tmp_path: Path, start: int, flips: List[Tuple[int, int]]) -> None:
    """Check flipped content bytes: without a checksum, a tar is read differently or refused."""
    data = bytearray(REAL)
    for place, flip in flips:
        data[(start + place) % len(data)] ^= flip
    outcome(tmp_path / "flip.tar", bytes(data))


SLOW_TEXTS = {
    "src/default.relay": [
        "def @main(" + "%" * 200_000 + "{\n",
        "def @main(" + "%a {" * 50_000 + "{\n",
        "def @main(%a {" + "}: " * 60_000 + "{\n",
        "def @main() -> " + "Tensor[(" * 20_000 + "{\n",
    ],
    "codegen/host/src/default_lib1.c": [
        "kTvmgenMetadata" + "/*" * 100_000,
        "TVMTensorInfo kTvmgenMetadata_inputs[" + '"a , ' * 40_000 + "};",
        "kTvmgenMetadata_inputs_0_shape[1] = {" * 5_000,
    ],
    "codegen/host/include/tvmgen_default.h": [
        "int32_t x_run(*a) struct x_a {" + "a" * 200_000 + "}",
        "int32_t x_run(" * 15_000 + "int32_t x_run()",
        "struct a{" * 20_000 + "int32_t x_run(a)" + "#define A_SIZE" * 15_000,
    ],
}


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name, texts in SLOW_TEXTS.items() for text in texts],
    ids=lambda v: v[:40],
)
def test_texts_made_to_take_for_ever(tmp_path: Path, name: str, text: str) -> None:
    """Check strings that take minutes or hours with backtracking patterns, and must take milliseconds."""
    path = tmp_path / "model.tar"
    start = time.monotonic()
    outcome(path, archive_bytes({**full_model(), name: text}))
    assert time.monotonic() - start < 5


@FUZZ
@given(noise=st.binary(min_size=1, max_size=3000))
def test_noise(tmp_path: Path, noise: bytes) -> None:
    assert outcome(tmp_path / "noise.tar", noise) is None


def test_a_file_of_a_negative_size_is_never_unpacked(tmp_path: Path) -> None:
    """Check a negative size: some versions of tarfile refuse the header, older ones skip the file."""
    path = tmp_path / "model.tar"
    path.write_bytes(pax(pax_record("size", "-1"))())
    try:
        archive = ModelArchive.open(path)
    except ArchiveError as error:
        assert "damaged" in error.what
    else:
        assert not any("odd.c" in name for name in archive.sources)
