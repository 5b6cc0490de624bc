# SPDX-License-Identifier: Apache-2.0
"""Option crt=tvm with TVM's own runtime: models give the recorded answers.

These tests run only if MICROTVM_STANDALONE_CRT_DIR names the folder build/standalone_crt of a TVM 0.8 to 0.18
built with USE_MICRO. No package contains that folder. test_crt.py needs no TVM.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import numpy as np
import pytest

from runtime.host.archive.model_archive import ModelArchive
from runtime.host.dtype import DType
from runtime.host.errors import DeviceError
from runtime.host.execution import connection, standalone_run
from runtime.host.execution.create_executor import create_executor
from runtime.host.execution.executor import Executor
from runtime.host.execution.firmware_info import read_usage
from runtime.host.execution.running_model import TIMEOUTS, connected_executor, running_model
from runtime.host.firmware.build import build
from runtime.host.project.generate import generate
from runtime.host.project.platform import Platform, load_platform
from runtime.host.project.project import Project
from runtime.host.project.tvm_crt import StandaloneCrt
from runtime.host.wire.rpc import RpcClient
from runtime.host.wire.session import Session
from tests.conftest import Baker

pytestmark = pytest.mark.slow

DATA = Path(__file__).resolve().parents[1] / "data"
FAMILIES = ["host", "cortex_m", "riscv"]

OnRealCrt = Callable[..., Project]


@pytest.fixture(scope="module")
def real_crt() -> StandaloneCrt:
    """Return TVM's own runtime, as a build of TVM made it."""
    return StandaloneCrt(Path(os.environ["MICROTVM_STANDALONE_CRT_DIR"]))


@pytest.fixture(scope="module")
def real_platforms(bake_shared: Baker) -> Dict[Tuple[str, str], Platform]:
    return {
        (family, name): load_platform(bake_shared(board_family=family, build_system=name).path)
        for family in FAMILIES
        for name in ("make", "cmake")
    }


@pytest.fixture
def on_real_crt(
    real_crt: StandaloneCrt, real_platforms: Dict[Tuple[str, str], Platform], tmp_path: Path
) -> OnRealCrt:
    """Return a function from archive, family and build system to a built project."""

    def make(archive: Path, family: str = "host", build_system: str = "make", **options: object) -> Project:
        options = {"crt": "tvm", "standalone_crt_dir": str(real_crt.directory), **options}
        project = generate(
            real_platforms[family, build_system],
            archive,
            tmp_path / "project",
            {"warning_as_error": True, **options},
        )
        build(project)
        return project

    return make


def archives_of(crt: StandaloneCrt) -> List[Path]:
    """Return the archives that this version of the runtime supports."""
    if not crt.has_aot:
        return [DATA / "archives/graph_c_v5.tar"]
    aot = [DATA / "models/mlp_f32_aot.tar"] if crt.supports_constants else []
    return [DATA / "models/kws_i8_graph.tar", *aot]


def answers_as_recorded(executor: Executor, archive: Path) -> None:
    with np.load(archive.with_suffix(".npz")) as data:
        inputs = {name[len("input_") :]: data[name] for name in data.files if name.startswith("input_")}
        expected = [data[name] for name in sorted(data.files) if name.startswith("output_")]
    for got, want in zip(executor.infer(inputs), expected):
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-5, atol=1e-5)


class TestOnTvmsOwnRuntime:
    @pytest.mark.parametrize("build_system", ["make", "cmake"])
    @pytest.mark.parametrize("family", FAMILIES)
    def test_models_answer_as_recorded(
        self, real_crt: StandaloneCrt, on_real_crt: OnRealCrt, family: str, build_system: str
    ) -> None:
        for archive in archives_of(real_crt):
            project = on_real_crt(archive, family, build_system)
            with running_model(project) as executor:
                answers_as_recorded(executor, archive)
                assert min(executor.time_evaluator(2, 2)) > 0
                usage = read_usage(executor.rpc)
                assert usage is not None and usage.workspace.most > 0
            shutil.rmtree(project.directory)

    @pytest.mark.parametrize("family", ["host", "cortex_m"])
    def test_a_standalone_firmware_reports_its_outputs(
        self, real_crt: StandaloneCrt, on_real_crt: OnRealCrt, family: str
    ) -> None:
        archives = [DATA / "archives/aot_c_interface.tar"] if real_crt.has_aot else []
        archives += [DATA / "models/mlp_f32_aot.tar"] if real_crt.supports_constants else []
        for archive in archives:
            project = on_real_crt(archive, family, project_type="standalone")
            assert standalone_run.run_standalone(project).rstrip().endswith("outcome: 0")
            shutil.rmtree(project.directory)

    def test_a_session_finds_nothing_of_the_one_before(
        self, real_crt: StandaloneCrt, on_real_crt: OnRealCrt
    ) -> None:
        archive = archives_of(real_crt)[-1]
        project = on_real_crt(archive)
        model = ModelArchive.open(archive)
        transport = connection.open_transport(project)
        peaks = []
        try:
            for index in range(20):
                if index % 4 == 3:
                    transport.write(bytes(range(256)) * 3 + b"\xff\xfd\xff", 1.0)  # noise, half a packet
                session = Session(transport, timeouts=TIMEOUTS)
                session.open()
                rpc = RpcClient(session)
                answers_as_recorded(create_executor(rpc, model), archive)
                usage = read_usage(rpc)
                assert usage is not None
                peaks.append(usage.workspace.most)
                if index % 4 == 1:
                    rpc.shutdown()
                session.close()
        finally:
            transport.close()
        assert peaks[-1] == peaks[4]

    def test_too_little_memory_is_told_in_words(
        self, real_crt: StandaloneCrt, on_real_crt: OnRealCrt
    ) -> None:
        archive = archives_of(real_crt)[0]
        project = on_real_crt(archive, workspace_size_bytes=12288)
        transport = connection.open_transport(project)
        try:
            with pytest.raises(
                DeviceError, match=r"out of workspace memory, bytes: want \d+, got \d+"
            ), connected_executor(ModelArchive.open(archive), transport) as executor:
                answers_as_recorded(executor, archive)
                executor.rpc.allocate(1 << 20, DType.parse("int8"))
        finally:
            transport.close()
