# SPDX-License-Identifier: Apache-2.0
"""Standalone projects: a firmware with its own main gives TVM's answers, through both interfaces."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import pytest

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.errors import ArchiveError, PlatformError
from runtime.host.execution.standalone_run import run_standalone
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from runtime.host.project.project_files import c_string
from tests.conftest import Platform
from tests.support.archives import write_archive

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = ROOT / "tests/data/archives"
MODELS = ROOT / "tests/data/models"
RUNS = {
    "packed": MODELS / "mlp_f32_aot.tar",
    "packed, planned": ARCHIVES / "aot_c_planned.tar",
    "packed, many inputs and outputs": ARCHIVES / "aot_c_many.tar",
    "C interface": ARCHIVES / "aot_c_interface.tar",
    "C interface, planned": ARCHIVES / "aot_c_interface_planned.tar",
    "C interface, many inputs and outputs": ARCHIVES / "aot_c_interface_many.tar",
}


def outputs_of(report: str) -> List[Tuple[str, np.ndarray]]:
    """Return (dtype, values) for each output line of a report."""
    lines = re.findall(r"^output (\S+) (\S+) (\d+):(.*)$", report, re.MULTILINE)
    for _, _, count, values in lines:
        assert len(values.split()) == int(count)
    return [(dtype, np.array(values.split(), dtype)) for _, dtype, _, values in lines]


@pytest.mark.parametrize("build_system", ["make", pytest.param("cmake", marks=pytest.mark.slow)])
@pytest.mark.parametrize("archive", RUNS.values(), ids=RUNS)
def test_it_reports_what_tvm_answered_on_the_host(
    default_platforms: Dict[str, Platform], build_system: str, archive: Path, tmp_path: Path
) -> None:
    expected_file = archive.with_suffix(".npz")
    platform = load_platform(default_platforms[build_system].path)
    options = {"project_type": "standalone", "standalone_input": str(expected_file)}
    project = generate(platform, archive, tmp_path / "project", options)
    build(project)
    report = run_standalone(project)
    with np.load(expected_file) as data:
        expected = [data[name] for name in sorted(data.files) if name.startswith("output_")]
    outputs = outputs_of(report)
    assert len(outputs) == len(expected)
    for (dtype, values), want in zip(outputs, expected):
        assert dtype == want.dtype.name
        if want.dtype.kind == "f":
            np.testing.assert_allclose(values, want.ravel(), rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(values, want.ravel())
    assert re.search(r"^microseconds: \d+$", report, re.MULTILINE)
    assert report.endswith("outcome: 0\n")


def test_without_an_input_it_counts_from_0_to_99(default_platform: Platform, tmp_path: Path) -> None:
    archive = ARCHIVES / "aot_c_interface_many.tar"
    project = generate(
        load_platform(default_platform.path), archive, tmp_path / "project", {"project_type": "standalone"}
    )
    build(project)
    assert run_standalone(project).endswith("outcome: 0\n")
    source = (project.directory / "src/model_input.c").read_text()
    assert "sample_0[6] = { /* int8 */\n    0, 1, 2, 3, 4, 5,\n" in source
    assert "sample_1[12] = { /* float32 */\n    0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64,\n" in source


def test_a_firmware_that_fails_says_why(default_platform: Platform, tmp_path: Path) -> None:
    options = {"project_type": "standalone", "workspace_size_bytes": 256}
    project = generate(
        load_platform(default_platform.path), MODELS / "mlp_f32_aot.tar", tmp_path / "project", options
    )
    build(project)
    with pytest.raises(PlatformError) as caught:
        run_standalone(project)
    assert "error: the model cannot be made ready" in caught.value.log
    assert "outcome: 1" in caught.value.log


def test_its_sources_are_free_of_warnings(default_platform: Platform, tmp_path: Path) -> None:
    options = {"project_type": "standalone"}
    for name in ("aot_c_interface_many.tar", "aot_c_many.tar"):
        platform = load_platform(default_platform.path)
        project = generate(platform, ARCHIVES / name, tmp_path / name, options)
        for source in (project.directory / "src").glob("*.c"):
            command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
            command += [
                "-Iruntime/device/include",
                "-Imodel/codegen/host/include",
                "-fsyntax-only",
                str(source),
            ]
            subprocess.run(command, cwd=project.directory, check=True)


@pytest.mark.parametrize(
    ("project_type", "archive", "words"),
    [
        ("standalone", ARCHIVES / "graph_c.tar", "is for the graph executor"),
        ("standalone", ARCHIVES / "operator_c.tar", "contains single operators"),
        ("standalone", ARCHIVES / "aot_llvm.tar", "contains object files of the LLVM code generator"),
        ("host_driven", ARCHIVES / "aot_c_interface.tar", "has no system library"),
    ],
)
def test_an_archive_that_cannot_become_such_a_project_is_refused_at_once(
    default_platform: Platform, project_type: str, archive: Path, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError, match=words):
        generate(
            load_platform(default_platform.path),
            archive,
            tmp_path / "project",
            {"project_type": project_type},
        )
    assert not (tmp_path / "project").exists()


def test_a_packed_archive_without_a_system_library_is_refused_and_not_left_to_the_linker(
    default_platform: Platform, tmp_path: Path
) -> None:
    archive = write_archive(tmp_path / "model.tar")  # its C has no TVMSystemLibEntryPoint
    with pytest.raises(ArchiveError, match="packed interface and no system library") as caught:
        generate(
            load_platform(default_platform.path), archive, tmp_path / "p", {"project_type": "standalone"}
        )
    assert "system-lib" in caught.value.next_step


def test_any_name_becomes_a_string_of_c_that_is_it(tmp_path: Path) -> None:
    names = ['a"b', "a\\", 'x"; int y; char z[] = "', "a\nb", "a??/", "caf\u00e9", "%s", "\u4e2d1", ""]
    lines = "".join(f"    fwrite({c_string(name)}, 1, sizeof {c_string(name)}, stdout);\n" for name in names)
    (tmp_path / "names.c").write_text(f"#include <stdio.h>\nint main(void) {{\n{lines}    return 0;\n}}\n")
    command = ["cc", "-std=c11", "-trigraphs", "-Wall", "-Wextra", "-Werror", "names.c", "-o", "names"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "names"], capture_output=True, check=True).stdout
    assert printed.split(b"\0")[:-1] == [name.encode() for name in names]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((1, 64), "float64"), "expected float32 [1, 64], 256 bytes, got float64 [1, 64], 512 bytes"),
        (np.zeros((1, 63), "float32"), "got float32 [1, 63], 252 bytes"),
    ],
)
def test_an_input_of_another_type_or_size_is_refused(
    default_platform: Platform, array: np.ndarray, words: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", array)
    options = {"project_type": "standalone", "standalone_input": str(tmp_path / "x.npy")}
    with pytest.raises(PlatformError) as caught:
        generate(
            load_platform(default_platform.path), MODELS / "mlp_f32_aot.tar", tmp_path / "project", options
        )
    assert words in str(caught.value)
    assert ModelArchive.open(MODELS / "mlp_f32_aot.tar").inputs[0].name in str(caught.value)
