# SPDX-License-Identifier: Apache-2.0
"""TVM's hand-written kernels for Cortex-M: emulated boards answer as TVM's LLVM code does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.host.execution.running_model import running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import load_platform
from tests.tvm.conftest import Tvm

pytestmark = pytest.mark.slow

# Each runs on a board with the processor of its target.
CASES = {
    "m4:aot:planned": "mps2_an386",
    "stm32f746xx:graph:planned": "mps2_an500",
    "m33:graph:stack": "mps2_an505",
}
MICRO_KERNELS = ["gemm", "gemm16", "kernel", "max8", "sum16"]


def test_integer_kernels_are_exact(tvm_with_cortex_m: Tvm, tmp_path: Path) -> None:
    found = tvm_with_cortex_m.report("arm_kernels.py", tmp_path, *CASES)
    assert found["called"] == dict.fromkeys(CASES, MICRO_KERNELS)
    platform = load_platform(tvm_with_cortex_m.platform.path)
    for case, board in CASES.items():
        archive = tmp_path / f"{case.replace(':', '_')}.tar"
        project = generate(platform, archive, archive.with_suffix(""), {"board": board})
        build(project)
        with np.load(archive.with_suffix(".npz")) as data, running_model(project) as executor:
            for key in data.files:
                if key.startswith("input_"):
                    executor.set_input(key[len("input_") :], data[key])
            executor.run()
            for index, name in enumerate(found["kernels"]):
                want = data[f"output_{index:02}"]
                got = executor.get_output(index).reshape(want.shape)
                np.testing.assert_array_equal(got, want, err_msg=f"{case}: {name}", strict=True)
