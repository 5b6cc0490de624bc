# SPDX-License-Identifier: Apache-2.0
"""Archives of kinds that public bug reports describe: each runs correctly or is refused with a next step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterable, List

import numpy as np
import pytest

from runtime.host.errors import ArchiveError, PlatformError
from runtime.host.execution import standalone_run
from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from tests.conftest import Platform
from tests.support.cases import CASES, assert_same, case

HOST_DRIVEN = [
    "colliding_input_names_swapped/model",
    "colliding_input_names_swapped/typed",
    "colliding_input_names_swapped/utf8",
    "duplicate_output_names/model",
    "graph_kernel_many_tensors/llvm_args20__graph",
    "graph_kernel_many_tensors/model",
    "graph_kernel_many_tensors/split64__graphp",
    "input_left_out_is_counted/model",
    "llvm_aot_input_names/model",
    "llvm_aot_input_names/name_colon2__llvm",
    "llvm_aot_input_names/name_digit__llvm",
    "llvm_aot_input_names/name_percent__llvm",
    "llvm_aot_input_names/name_space__llvm",
    "llvm_aot_many_tensors/model",
    "llvm_aot_output_shape/model",
    "llvm_aot_output_shape/scalar_io__llvm",
    "nine_dimensions/model",
    "standalone_input_layout/model",
    "tflite_name_in_tvm_session/model",
]
STANDALONE = {
    "colliding_input_names_swapped/model": ["output"],
    "colliding_input_names_swapped/utf8": ["output"],
    "duplicate_output_names/model": ["Identity", "Identity"],
    "input_left_out_is_counted/model": ["output"],
    "nine_dimensions/model": ["output"],
    "standalone_input_layout/model": ["output"],
    "tflite_name_in_tvm_session/model": ["StatefulPartitionedCall_0"],
}
IN_THE_FAST_RING = ("colliding_input_names_swapped/model", "llvm_aot_input_names/model")
# Archive, project type, part of the error, part of the next step.
REFUSED = [
    (
        "colliding_input_names_swapped/weight_spelled_alike",
        "host_driven",
        r"has inputs in an unknown order: '/x', '_x'",
        "letters or digits differ",
    ),
    (
        "joined_at_level_0/c",
        "host_driven",
        r"fused_concatenate reads a tensor that no kernel wrote",
        "opt_level=3",
    ),
    (
        "joined_at_level_0/llvm",
        "host_driven",
        r"joins the input 'x' to other tensors in concatenate",
        "opt_level=3",
    ),
    ("aot_output_never_written/model", "host_driven", r"never writes output 1", "graph executor"),
    ("aot_output_never_written/model", "standalone", r"never writes output 1", "graph executor"),
    (
        "aot_output_never_written/feat_reshape__aotp",
        "host_driven",
        r"never writes output 1",
        "graph executor",
    ),
    ("aot_output_never_written/dup_output__aotcu", "standalone", r"never writes output 1", "graph executor"),
    ("argsort_no_function/model", "host_driven", r"calls tvm\.contrib\.sort\.argsort", "on the host"),
    ("dashed_module_name_message/model", "host_driven", r"the module 'my-model\.v2'", "'my_model_v2'"),
    ("duplicate_output_names/c_interface", "standalone", r"two outputs with the same name", "a unique name"),
    ("llvm_default_usmp_message/model", "host_driven", r"requires its constants", '"tir.usmp.enable": False'),
    (
        "memory_pools_packed_segv/model",
        "host_driven",
        r"requires memory pools",
        "without workspace_memory_pools",
    ),
    (
        "memory_pools_packed_segv/model",
        "standalone",
        r"requires memory pools",
        "without workspace_memory_pools",
    ),
    (
        "memory_pools_packed_segv/c_interface",
        "standalone",
        r"requires memory pools",
        "without the executor options",
    ),
    (
        "vectorized_archive_message/model",
        "host_driven",
        r"vector type float5",
        '"tir.disable_vectorize": True',
    ),
]


def marked(names: Iterable[str]) -> List[object]:
    return [
        name if name in IN_THE_FAST_RING else pytest.param(name, marks=pytest.mark.slow) for name in names
    ]


@pytest.mark.parametrize("name", marked(HOST_DRIVEN))
def test_the_answers_are_those_of_tvm(default_platform: Platform, name: str, tmp_path: Path) -> None:
    archive, inputs, outputs = case(name)
    project = generate(load_platform(default_platform.path), archive, tmp_path / "project", {})
    build(project)
    with running_model(project) as executor:
        assert sorted(executor.input_names) == sorted(inputs)
        assert_same(executor.infer(inputs), outputs)


@pytest.mark.parametrize("name", marked(STANDALONE))
def test_a_standalone_firmware_reports_them_under_their_names(
    default_platform: Platform, name: str, tmp_path: Path
) -> None:
    archive, inputs, outputs = case(name)
    np.savez(tmp_path / "in.npz", **{f"input_{key}": value for key, value in inputs.items()})
    options = {"project_type": "standalone", "standalone_input": str(tmp_path / "in.npz")}
    project = generate(load_platform(default_platform.path), archive, tmp_path / "project", options)
    build(project)
    report = standalone_run.run_standalone(project)
    found = re.findall(r"^output (.*) \w+ \d+: (.*)$", report, re.MULTILINE)
    assert [name for name, _ in found] == STANDALONE[name]
    for (_, values), wanted in zip(found, outputs):
        got = np.array(values.split(), dtype="float64").reshape(wanted.shape)
        np.testing.assert_allclose(got, wanted.astype("float64"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "project_type", "words", "way_out"), REFUSED)
def test_what_cannot_be_right_is_refused_before_it_is_built(
    default_platform: Platform, name: str, project_type: str, words: str, way_out: str, tmp_path: Path
) -> None:
    platform = load_platform(default_platform.path)
    with pytest.raises(ArchiveError, match=words) as caught:
        generate(platform, CASES / f"{name}.tar", tmp_path / "project", {"project_type": project_type})
    assert way_out in caught.value.next_step
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("name", ["c.npy", "nchw.npy"])
def test_a_file_in_another_layout_is_refused_for_a_standalone_firmware_too(
    default_platform: Platform, name: str, tmp_path: Path
) -> None:
    folder = CASES / "standalone_input_layout"
    options = {"project_type": "standalone", "standalone_input": str(folder / name)}
    platform = load_platform(default_platform.path)
    if np.load(folder / name).shape == (1, 16, 16, 3):
        generate(platform, folder / "model.tar", tmp_path / "project", options)
        return
    with pytest.raises(PlatformError, match=r"expected float32 \[1, 16, 16, 3\]"):
        generate(platform, folder / "model.tar", tmp_path / "project", options)


def test_a_function_that_the_owners_files_register_may_be_looked_up(
    default_platform: Platform, tmp_path: Path
) -> None:
    """Check that extra files may register a function that TVM's C++ runtime would provide."""
    import tarfile

    (tmp_path / "sort.c").write_text("/* registers tvm.contrib.sort.argsort */\n")
    with tarfile.open(tmp_path / "extra.tar", "w") as tar:
        tar.add(tmp_path / "sort.c", "sort.c")
    archive = CASES / "argsort_no_function" / "model.tar"
    options = {"extra_files_tar": str(tmp_path / "extra.tar")}
    generate(load_platform(default_platform.path), archive, tmp_path / "project", options)
