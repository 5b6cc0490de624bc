# SPDX-License-Identifier: Apache-2.0
"""Option crt=tvm with a fabricated runtime: the parts that a project copies, and the refused ones.

test_tvm_runtime.py checks answers with a real runtime.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Dict, Optional

import pytest

from runtime.host.errors import PlatformError
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform, load_platform
from runtime.host.system.cache import Cache
from runtime.host.wire.api_client import ProjectApiClient
from tests.builds.fabricated_crt import fabricate_crt
from tests.conftest import Baker
from tests.conftest import Platform as Baked

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits"
DATA = ROOT / "tests/data"
BUILD_SYSTEMS = ["make", pytest.param("cmake", marks=pytest.mark.slow)]


@pytest.fixture
def fabricated(tmp_path: Path) -> Path:
    return fabricate_crt(tmp_path / "standalone_crt")


@pytest.fixture
def platform(default_platform: Baked) -> Platform:
    return load_platform(default_platform.path)


class TestRefusals:
    def refused(
        self,
        platform: Platform,
        tmp_path: Path,
        directory: Optional[str],
        archive: Path = DIGITS / "digits_aot.tar",
        **options: object,
    ) -> str:
        place = tmp_path / "project"
        options = {"crt": "tvm", "standalone_crt_dir": directory, **options}
        with pytest.raises(PlatformError) as caught:
            generate(platform, archive, place, options)
        assert not place.exists()
        return str(caught.value)

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_of_no_folder_say_how_to_name_one(
        self, platform: Platform, tmp_path: Path, nothing: Optional[str]
    ) -> None:
        words = self.refused(platform, tmp_path, nothing)
        assert "standalone_crt_dir was not given" in words
        assert "Set standalone_crt_dir to the folder" in words

    def test_of_other_folders_say_what_is_wrong_with_them(self, platform: Platform, tmp_path: Path) -> None:
        assert "of TVM's own runtime does not exist" in self.refused(
            platform, tmp_path, str(tmp_path / "nowhere")
        )
        assert "src/runtime/crt is missing" in self.refused(platform, tmp_path, str(ROOT / "runtime"))

    def test_of_a_runtime_before_0_8_name_the_version(
        self, platform: Platform, tmp_path: Path, fabricated: Path
    ) -> None:
        libraries = fabricated / "src/runtime/crt"
        (libraries / "microtvm_rpc_server").rename(libraries / "utvm_rpc_server")
        assert "is older than 0.8" in self.refused(platform, tmp_path, str(fabricated))

    @pytest.mark.parametrize("lost", ["include/dlpack", "src/runtime/crt/common"])
    def test_of_a_damaged_folder_name_what_it_lacks(
        self, platform: Platform, tmp_path: Path, fabricated: Path, lost: str
    ) -> None:
        shutil.rmtree(fabricated / lost)
        assert f"lacks {lost}" in self.refused(platform, tmp_path, str(fabricated))

    @pytest.mark.parametrize(("archive", "aot"), [("graph_c_v5", True), ("graph_c", False)])
    def test_of_an_archive_that_the_runtime_would_misread(
        self, platform: Platform, tmp_path: Path, archive: str, aot: bool
    ) -> None:
        crt = fabricate_crt(tmp_path / "crt", aot)
        words = self.refused(platform, tmp_path, str(crt), DATA / f"archives/{archive}.tar")
        assert "is from a TVM" in words
        assert "crt=bundled" in words

    def test_of_a_model_whose_constants_the_runtime_does_not_take(
        self, platform: Platform, tmp_path: Path, fabricated: Path
    ) -> None:
        header = fabricated / "include/tvm/runtime/crt/platform.h"
        header.write_text(
            header.read_text().replace("TVMPlatformInitialize", "TVMPlatformLater")
        )  # as up to TVM 0.11
        words = self.refused(platform, tmp_path, str(fabricated))
        assert "has separate constants" in words
        generate(
            platform,
            DIGITS / "digits_graph.tar",
            tmp_path / "graph",
            {"crt": "tvm", "standalone_crt_dir": str(fabricated)},
        )

    def test_of_a_build_command_which_knows_the_platforms_runtime_only(
        self, platform: Platform, tmp_path: Path, fabricated: Path
    ) -> None:
        theirs = Platform(platform.directory, "theirs", "make", build_command=["build.sh"])
        assert "cannot be used with build_command" in self.refused(theirs, tmp_path, str(fabricated))


@pytest.mark.parametrize("build_system", BUILD_SYSTEMS)
@pytest.mark.slow
def test_the_libraries_that_are_there_are_built_and_cached(
    default_platforms: Dict[str, Baked], fabricated: Path, build_system: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    options = {"crt": "tvm", "standalone_crt_dir": str(fabricated), "warning_as_error": True}
    cache = Cache(tmp_path / "cache")
    project = generate(platform, DIGITS / "digits_aot.tar", tmp_path / "first", options)
    shutil.rmtree(fabricated / "include/tvm/runtime/crt")  # the project has copies of all files that it needs
    build(project, cache=cache)
    symbols = subprocess.run(
        ["nm", project.directory / "build/libmicrotvm_runtime.a"], capture_output=True, text=True, check=True
    ).stdout
    for name in ("memory", "session", "graph_executor", "aot_executor", "aot_executor_module", "table"):
        assert f"of_{name}\n" in symbols
    for replaced in ("src", "include/tvm", "include/dlpack"):
        assert not (project.directory / "runtime/device" / replaced).exists()

    changed = fabricate_crt(tmp_path / "changed")
    again = generate(
        platform,
        DIGITS / "digits_graph.tar",
        tmp_path / "again",
        {**options, "standalone_crt_dir": str(changed)},
    )
    assert [stage.name for stage in build(again, cache=cache).stages if stage.cached] == ["runtime"]
    (changed / "src/runtime/minrpc/answer.h").write_text("#define ANSWER 43\n")
    other = generate(
        platform,
        DIGITS / "digits_graph.tar",
        tmp_path / "other",
        {**options, "standalone_crt_dir": str(changed)},
    )
    assert "runtime" not in [stage.name for stage in build(other, cache=cache).stages if stage.cached]
    assert again.settings.firmware_id != other.settings.firmware_id


@pytest.fixture(scope="module")
def answering(default_platforms: Dict[str, Baked], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return firmware whose server replies with each received byte and the number of the server."""
    scratch = tmp_path_factory.mktemp("answering")
    options = {
        "crt": "standalone",
        "standalone_crt_dir": str(fabricate_crt(scratch / "crt")),
    }  # older name of the option
    platform = load_platform(default_platforms["make"].path)
    project = generate(platform, DIGITS / "digits_aot.tar", scratch / "project", options)
    return build(project).firmware


def packet(message_type: int, session_id: bytes = b"\x01\x02") -> bytes:
    """Return a packet as sent on the wire, with a body that holds an escaped FF before an FD."""
    body = b"\x00\xff\xff\xfd"
    return MARK + b"\x06\x00\x00\x00" + session_id + bytes([message_type]) + body


MARK = b"\xff\xfd"
NOTHING = b"\xff\xfe"
START, TERMINATE, NORMAL = 0x00, 0x02, 0x10


@pytest.mark.parametrize("piece", [1, 3, 1000])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (packet(START) + packet(NORMAL), b""),
        (packet(START) + packet(START) + packet(TERMINATE), b""),
        (packet(NORMAL), packet(START) + packet(NORMAL)),
        (packet(NORMAL) + packet(TERMINATE), packet(START, b"\xff\xff\xff\xff")),
        (packet(NORMAL) + b"noise\xff" + packet(TERMINATE), packet(START)),
        (packet(NORMAL) + MARK + b"\x03\x00", packet(START)),
        (packet(NORMAL) + MARK + 9 * NOTHING, packet(START)),
        (packet(NORMAL), MARK + NOTHING + packet(START)[2:]),
    ],
    ids=[
        "first",
        "retried",
        "next",
        "escaped",
        "noise",
        "cut off",
        "nothing but no-operations",
        "no-operation",
    ],
)
def test_a_session_after_another_gets_a_server_of_its_own(
    answering: Path, first: bytes, second: bytes, piece: int
) -> None:
    """Check that no byte is lost or added except the mark that starts the new server's packet.

    Both servers receive this mark.
    """
    wire = first + second
    with subprocess.Popen([answering], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as device:
        assert device.stdin is not None and device.stdout is not None
        for at in range(0, len(wire), piece):
            device.stdin.write(wire[at : at + piece])
        device.stdin.close()
        answers = device.stdout.read()
    handed = {1: b"", 2: b""}
    for server, byte in zip(answers[::2], answers[1::2]):
        handed[server] += bytes([byte])
    assert handed == {1: b"!" + first + (MARK if second else b""), 2: second}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["cortex_m", "riscv"])
def test_cross_compilers_build_its_c_and_cxx_without_a_cxx_library(
    bake: Baker, fabricated: Path, family: str, tmp_path: Path
) -> None:
    platform = load_platform(bake(board_family=family).path)
    options = {"crt": "tvm", "standalone_crt_dir": str(fabricated), "warning_as_error": True}
    build(generate(platform, DIGITS / "digits_aot.tar", tmp_path / "project", options))


def test_tvm_hands_its_folder_over_whether_it_is_used_or_not(
    default_platform: Baked, fabricated: Path, tmp_path: Path
) -> None:
    archive = DIGITS / "digits_aot.tar"
    with ProjectApiClient(default_platform.path) as server:
        server.generate_project(archive, tmp_path / "bundled", {}, fabricated)
        server.generate_project(archive, tmp_path / "standalone", {"crt": "tvm"}, fabricated)
        with pytest.raises(PlatformError, match="standalone_crt_dir was not given"):
            server.generate_project(archive, tmp_path / "none", {"crt": "tvm"}, "")
    assert not (tmp_path / "bundled/crt").exists()
    assert (tmp_path / "standalone/crt/src/runtime/crt/common/common.c").is_file()
