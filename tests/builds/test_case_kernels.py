# SPDX-License-Identifier: Apache-2.0
"""Archives whose C uses rare names of C headers: they build and answer exactly."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Dict

import numpy as np
import pytest

from runtime.host.errors import ArchiveError
from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from runtime.host.project.project import Project
from tests.builds.fabricated_crt import fabricate_crt
from tests.conftest import Baker, Platform
from tests.support.archives import full_model, write_archive

CASES = Path(__file__).resolve().parents[1] / "data/cases"
ARM = CASES / "arm_dense_int8_undeclared"
INFINITY = CASES / "infinity_does_not_compile"

# Archive -> its inputs and answers: a mask of infinities, and every spelling of a constant.
WITH_INFINITY = {
    "model": ("inputs", "expected"),
    "infnan__aotp": ("infnan.ins", "infnan.exp"),
}
WRONG = CASES / "kernels_that_tvm_gets_wrong"
CORES = ["mps2_an386", "mps2_an500", "mps2_an505"]


def answers(project: Project, inputs: Path, outputs: Path) -> None:
    """Assert the answers of the file exactly, including integers, infinities and not-a-number."""
    with np.load(inputs) as given, np.load(outputs) as expected, running_model(project) as executor:
        for name in given.files:
            executor.set_input(name, given[name])
        executor.run()
        for index, name in enumerate(sorted(expected.files)):
            want = expected[name]
            got = executor.get_output(index).reshape(want.shape)
            np.testing.assert_allclose(got, want, rtol=1e-5 if want.dtype.kind == "f" else 0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_INFINITY)
@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_infinities_and_not_a_number_on_the_host(
    default_platforms: Dict[str, Platform], build_system: str, name: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    project = generate(platform, INFINITY / f"{name}.tar", tmp_path / "project", {"warning_as_error": True})
    build(project)
    answers(project, *(INFINITY / f"{file}.npz" for file in WITH_INFINITY[name]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "board"),
    [("cortex_m", "mps2_an385"), ("riscv", "qemu_virt_rv32"), ("riscv", "qemu_virt_rv64")],
)
def test_infinities_and_not_a_number_on_emulated_boards(
    bake: Baker, family: str, board: str, tmp_path: Path
) -> None:
    platform = load_platform(bake(board_family=family).path)
    for name, (inputs, outputs) in WITH_INFINITY.items():
        project = generate(platform, INFINITY / f"{name}.tar", tmp_path / name, {"board": board})
        build(project)
        answers(project, INFINITY / f"{inputs}.npz", INFINITY / f"{outputs}.npz")


@pytest.mark.slow
@pytest.mark.parametrize("build_system", ["make", "cmake"])
def test_infinities_compile_with_the_headers_of_another_runtime(
    default_platforms: Dict[str, Platform], build_system: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platforms[build_system].path)
    crt = fabricate_crt(tmp_path / "crt")
    for name in WITH_INFINITY:
        options = {"crt": "standalone", "standalone_crt_dir": str(crt)}
        build(generate(platform, INFINITY / f"{name}.tar", tmp_path / name, options))


@pytest.mark.slow
def test_kernels_of_arm_are_exact(bake: Baker, tmp_path: Path) -> None:
    platform = load_platform(bake(board_family="cortex_m").path)
    for board in CORES:
        project = generate(platform, ARM / "model.tar", tmp_path / board, {"board": board})
        build(project)
        answers(project, ARM / "inputs.npz", ARM / "expected.npz")


@pytest.mark.slow
def test_a_net_of_such_kernels_runs_on_every_core_with_their_instructions(
    bake: Baker, tmp_path: Path
) -> None:
    platform = load_platform(bake(board_family="cortex_m").path)
    image = np.arange(1024, dtype="uint32").astype("int8").reshape(1, 16, 16, 4)
    found = []
    for board in CORES:
        project = generate(platform, ARM / "whole_net.tar", tmp_path / board, {"board": board})
        build(project)
        with running_model(project) as executor:
            found.append(executor.infer({0: image})[0])
        shutil.rmtree(project.directory)
    assert np.ptp(found[0]) > 0
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize(
    ("name", "words", "next_step"),
    [
        ("strided_depthwise_aot", "a depthwise convolution with strides", "`c -keys=cpu`"),
        ("strided_depthwise_graph", "a depthwise convolution with strides", "`c -keys=cpu`"),
        (
            "average_of_int8",
            "an nn.avg_pool of 8- or 16-bit integers",
            "Cast the input of the pooling to int32",
        ),
        (
            "average_of_int16_graph",
            "an nn.avg_pool of 8- or 16-bit",
            "Cast the input of the pooling to int32",
        ),
        ("average_then_relu", "an nn.avg_pool of 8- or 16-bit", "Cast the input of the pooling to int32"),
        ("average_c_interface", "an nn.avg_pool of 8- or 16-bit", "Cast the input of the pooling to int32"),
    ],
)
def test_kernels_that_tvm_gets_wrong_are_refused(
    default_platform: Platform, name: str, words: str, next_step: str, tmp_path: Path
) -> None:
    """Check kernels that gave wrong answers on a board while another build of the model was right."""
    options = {"project_type": "standalone" if name == "average_c_interface" else "host_driven"}
    with pytest.raises(ArchiveError, match=words) as caught:
        generate(load_platform(default_platform.path), WRONG / f"{name}.tar", tmp_path / "project", options)
    assert next_step in caught.value.next_step


@pytest.mark.parametrize("declaration", ["float inff = 2.0f;", "int32_t nan;"])
def test_a_number_that_would_hide_a_constant_is_refused(
    default_platform: Platform, declaration: str, tmp_path: Path
) -> None:
    code = f"int32_t tvmgen_default_run(void) {{\n  {declaration}\n  return -inff < 0;\n}}\n"
    files = {**full_model(), "codegen/host/src/default_lib1.c": code + "/* TVMSystemLibEntryPoint */\n"}
    archive = write_archive(tmp_path / "model.tar", files)
    with pytest.raises(ArchiveError, match="a variable with the name inf, inff, nan or nanf"):
        generate(load_platform(default_platform.path), archive, tmp_path / "project", {})
