# SPDX-License-Identifier: Apache-2.0
"""Statements of the digits example's README: balanced images, accurate weights, and agreement with TVM."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Dict, List

import numpy as np
import pytest

from examples.digits.network import accuracy, infer
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.compile import compile_model
from runtime.host.compile.native import run_natively

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
ARCHIVES = ("digits_aot.tar", "digits_graph.tar")


@pytest.fixture(scope="module")
def weights() -> Dict[str, np.ndarray]:
    return dict(np.load(DIGITS / "weights.npz"))


@pytest.fixture(scope="module")
def held_out() -> Dict[str, np.ndarray]:
    return dict(np.load(DIGITS / "digits_test.npz"))


def files_of(archive: str) -> Dict[str, str]:
    with tarfile.open(DIGITS / archive) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        return {name: file.read().decode("latin-1") for name, file in files.items() if file is not None}


def constants_of(archive: str) -> List[List[int]]:
    """Return every table of integers that the generated C initialises."""
    code = "".join(text for name, text in files_of(archive).items() if name.endswith(".c"))
    tables = re.findall(r"=\s*\{\s*((?:[-+]?(?:0x)?[0-9a-fA-F]+,\s*)+[-+]?(?:0x)?[0-9a-fA-F]+)\s*\}", code)
    return [[int(number, 0) for number in table.split(",")] for table in tables]


def test_360_images_are_held_out_36_of_each_digit(held_out: Dict[str, np.ndarray]) -> None:
    assert held_out["images"].shape == (360, 1, 8, 8)
    assert held_out["images"].dtype == np.int8
    assert held_out["images"].min() == 0
    assert held_out["images"].max() == 16
    assert np.bincount(held_out["labels"]).tolist() == [36] * 10
    assert len(np.unique(held_out["images"].reshape(360, -1), axis=0)) == 360


def test_tvm_on_the_host_reads_at_least_95_percent(held_out: Dict[str, np.ndarray]) -> None:
    assert held_out["expected"].dtype == np.int32
    assert accuracy(held_out["expected"], held_out["labels"]) == pytest.approx(355 / 360)


def test_the_weights_give_exactly_what_tvm_computed(
    weights: Dict[str, np.ndarray], held_out: Dict[str, np.ndarray]
) -> None:
    np.testing.assert_array_equal(infer(held_out["images"], weights), held_out["expected"])


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archive_carries_the_committed_weights(archive: str, weights: Dict[str, np.ndarray]) -> None:
    tables = [sorted(table) for table in constants_of(archive)]
    for name, value in weights.items():
        if value.ndim:
            # TVM reorders weights for its loops, so that the test compares sorted numbers.
            assert sorted(value.ravel().tolist()) in tables, name


@pytest.mark.parametrize(("archive", "executor"), list(zip(ARCHIVES, ("aot", "graph"))))
def test_an_archive_names_its_executor_input_and_output(archive: str, executor: str) -> None:
    module = json.loads(files_of(archive)["./metadata.json"])["modules"]["default"]
    main = module["memory"]["functions"]["main"][0]
    assert module["executors"] == [executor]
    assert main["inputs"] == {"image": {"dtype": "int8", "size": 64}}
    assert main["outputs"] == {"output": {"dtype": "int32", "size": 40}}


def test_the_aot_archive_fits_the_smallest_board() -> None:
    main = json.loads(files_of("digits_aot.tar")["./metadata.json"])["modules"]["default"]["memory"][
        "functions"
    ]
    assert main["main"][0]["workspace_size_bytes"] <= 6 * 1024
    assert main["main"][0]["constants_size_bytes"] <= 8 * 1024


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archive_holds_no_file_of_tvms_own_runtime(archive: str) -> None:
    tops = {name.split("/")[1] for name in files_of(archive)}
    assert tops <= {"metadata.json", "codegen", "executor-config", "parameters", "src"}


def scores_of(archive: ModelArchive, images: np.ndarray) -> np.ndarray:
    """Return the scores of an archive of the int8 network, compiled for this machine."""
    answers = run_natively(archive, [{"image": image[np.newaxis]} for image in images])
    return np.concatenate([one["scores"] for one in answers])


def test_the_int8_network_reads_356_of_360_digits(held_out: Dict[str, np.ndarray]) -> None:
    assert held_out["expected_int8"].dtype == np.int8
    assert accuracy(held_out["expected_int8"], held_out["labels"]) == pytest.approx(356 / 360)


def test_the_committed_archive_answers_as_onnxruntime(held_out: Dict[str, np.ndarray]) -> None:
    archive = ModelArchive.open(DIGITS / "digits_int8.tar")
    np.testing.assert_array_equal(scores_of(archive, held_out["images"]), held_out["expected_int8"])


def test_the_compiled_model_answers_as_onnxruntime(held_out: Dict[str, np.ndarray]) -> None:
    compiled = compile_model(DIGITS / "digits_int8.onnx")
    assert compiled.compiled is not None and compiled.verified is not None
    archive = ModelArchive.unpacked(compiled.archive)
    np.testing.assert_array_equal(scores_of(archive, held_out["images"]), held_out["expected_int8"])


def test_the_size_in_the_readme_is_that_of_the_file() -> None:
    size = (DIGITS / "digits_int8.onnx").stat().st_size
    assert f"| {size:,} bytes |" in (DIGITS / "README.md").read_text(encoding="utf-8")
