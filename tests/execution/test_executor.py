# SPDX-License-Identifier: Apache-2.0
"""Executors on real firmware: the device runtime and a model, compiled for this machine."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Union, cast

import numpy
import pytest

from runtime.host.archive.facts import is_constants, is_workspace
from runtime.host.archive.graph import parse_graph
from runtime.host.archive.model_archive import ModelArchive
from runtime.host.dtype import DType
from runtime.host.errors import ArchiveError, DeviceError, PlatformError, ProtocolError
from runtime.host.execution.aot_executor import AotExecutor, MainExecutor
from runtime.host.execution.create_executor import create_executor
from runtime.host.execution.executor import Executor
from runtime.host.execution.graph_executor import GraphExecutor
from runtime.host.execution.time_evaluator import create_time_evaluator
from runtime.host.transports.base import Transport
from runtime.host.transports.process import ProcessTransport
from runtime.host.wire.messages import Handle, encode_sequence
from runtime.host.wire.remote_tensor import CPU
from runtime.host.wire.rpc import RemoteFunction, RpcClient
from runtime.host.wire.session import NORMAL, Session
from tests.support import traces
from tests.support.archives import GRAPH, module_metadata, saved_params, version_5, write_archive
from tests.support.firmware import build_firmware, compile_runtime
from tests.support.peers import ScriptedDevice, ScriptedTransport, rpc_message

DATA = Path(__file__).resolve().parents[1] / "data"
KWS = DATA / "models" / "kws_i8_graph.tar"
MLP = DATA / "models" / "mlp_f32_aot.tar"

SMALL_ARCHIVES = [
    "aot_c", "aot_c_many", "aot_c_planned", "aot_c_v6", "aot_llvm", "aot_llvm_many", "aot_llvm_planned",
    "graph_c", "graph_c_many", "graph_c_params", "graph_c_v5", "graph_llvm",
]  # fmt: skip

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to build firmware")

# The compiler takes seconds for this model's generated C.
BIG = pytest.param(KWS, id="kws", marks=pytest.mark.slow)

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function that builds each archive's firmware once."""
    objects: List[Path] = []
    built: Dict[Any, Path] = {}

    def firmware_of(archive: Path, **sizes: int) -> Path:
        if "llvm" in archive.name and platform.machine() not in ("x86_64", "AMD64"):
            pytest.skip("the objects in this archive are x86-64 code")
        if not objects:
            objects.extend(compile_runtime(tmp_path_factory.mktemp("runtime")))
        key = (archive, *sizes.items())
        if key not in built:
            directory = tmp_path_factory.mktemp(archive.stem)
            built[key] = build_firmware(archive, objects, directory, **sizes)
        return built[key]

    return firmware_of


@contextlib.contextmanager
def connected(firmware: Path, wrap: Callable[[Transport], Transport] = lambda it: it) -> Iterator[RpcClient]:
    process = ProcessTransport([firmware])
    process.open()
    try:
        session = Session(wrap(process))
        session.open()
        yield RpcClient(session)
    finally:
        process.close()


def examples(archive: Path) -> Dict[str, Any]:
    with numpy.load(archive.with_suffix(".npz")) as data:
        return {name: data[name] for name in data.files}


def infer(executor: Executor, example: Dict[str, Any]) -> List[Any]:
    return executor.infer({name: example[f"input_{name}"] for name in executor.input_names})


def assert_as_expected(outputs: List[Any], example: Dict[str, Any]) -> None:
    assert len(outputs) == sum(name.startswith("output_") for name in example)
    for index, output in enumerate(outputs):
        expected = example[f"output_{index}"]
        assert output.dtype == expected.dtype
        if expected.dtype.kind == "f":
            numpy.testing.assert_allclose(output.ravel(), expected.ravel(), atol=1e-5)
        else:
            numpy.testing.assert_array_equal(output.ravel(), expected.ravel())


def largest_block(rpc: RpcClient) -> int:
    """Return the bytes of the largest allocation that the device can make."""
    for size in range(1 << 14, 0, -16):
        with contextlib.suppress(DeviceError):
            rpc.free(rpc.allocate(size, DType.parse("uint8")))
            return size
    return 0


class TestModels:
    @pytest.mark.parametrize("archive", [BIG, pytest.param(MLP, id="mlp")])
    def test_answers_are_those_of_tvm(self, build: Build, archive: Path) -> None:
        example = examples(archive)
        with connected(build(archive)) as rpc:
            executor = create_executor(rpc, ModelArchive.open(archive))
            for _ in range(3):
                outputs = infer(executor, example)
                assert_as_expected(outputs, example)
                assert outputs[0].shape == example["output_0"].shape
                assert outputs[0].flags.writeable

    @pytest.mark.parametrize("name", SMALL_ARCHIVES)
    def test_archives_of_every_kind(self, build: Build, name: str) -> None:
        archive = DATA / "archives" / f"{name}.tar"
        example = examples(archive)
        with connected(build(archive)) as rpc:
            executor = create_executor(rpc, ModelArchive.open(archive))
            assert_as_expected(infer(executor, example), example)

    @pytest.mark.parametrize(
        ("archive", "kind"),
        [
            (DATA / "archives" / "graph_c.tar", GraphExecutor),
            (MLP, AotExecutor),
            (DATA / "archives" / "aot_llvm.tar", MainExecutor),
        ],
    )
    def test_the_archive_decides_on_the_executor(self, build: Build, archive: Path, kind: type) -> None:
        with connected(build(archive)) as rpc:
            assert type(create_executor(rpc, ModelArchive.open(archive))) is kind

    @pytest.mark.parametrize("archive", [BIG, pytest.param(MLP, id="mlp")])
    def test_a_transport_that_waits_for_all_that_is_wanted(self, build: Build, archive: Path) -> None:
        """Use a transport whose read blocks until all requested bytes arrive, as the Project API's does."""
        reads = 0

        class Exact:
            def __init__(self, inner: Transport) -> None:
                self._inner = inner
                self._kept = b""

            def open(self) -> None: ...

            def close(self) -> None: ...

            def read(self, want: int, timeout_sec: Optional[float]) -> bytes:
                nonlocal reads
                reads += 1
                while len(self._kept) < want:
                    self._kept += self._inner.read(want - len(self._kept), timeout_sec)
                data, self._kept = self._kept[:want], self._kept[want:]
                return data

            def write(self, data: bytes, timeout_sec: Optional[float]) -> None:
                self._inner.write(data, timeout_sec)

        example = examples(archive)
        with connected(build(archive), Exact) as rpc:
            executor = create_executor(rpc, ModelArchive.open(archive))
            reads = 0
            assert_as_expected(infer(executor, example), example)
            # A frame takes two reads, and one more for each round of escaped bytes in it.
            assert 2 * executor.round_trips <= reads <= 4 * executor.round_trips

    def test_small_packets(self, build: Build) -> None:
        archive = DATA / "archives" / "graph_c_params.tar"
        example = examples(archive)
        with connected(build(archive, packet=512)) as rpc:
            assert rpc.max_packet_bytes() == 512 - 11
            assert_as_expected(infer(create_executor(rpc, ModelArchive.open(archive)), example), example)

    def test_session_after_session_on_one_device(self, build: Build) -> None:
        example = examples(MLP)
        archive = ModelArchive.open(MLP)
        process = ProcessTransport([build(MLP, workspace=4096)])
        process.open()
        try:
            for _ in range(20):  # more often than the workspace could hold if anything leaked
                session = Session(process, first_frame_sec=0)
                session.open()
                rpc = RpcClient(session)
                assert_as_expected(infer(create_executor(rpc, archive), example), example)
                rpc.shutdown()
                session.close()
        finally:
            process.close()


def test_answers_that_tvms_own_device_gave() -> None:
    """Run the AOT executor on the recorded conversation, with the replies of TVM's C runtime."""
    said = [
        (direction, payload) for direction, payloads in traces.turns("mlp_f32_aot") for payload in payloads
    ]
    normal = [(direction, payload[3:]) for direction, payload in said if payload[2] == NORMAL]
    answers = {
        request: reply
        for (direction, request), (answerer, reply) in zip(normal, normal[1:])
        if (direction, answerer) == (traces.HOST, traces.DEVICE)
    }
    # The recording looks up get_num_outputs but never calls it.
    get_num_outputs = (0x80018004).to_bytes(8, "little")
    answers[rpc_message(3, get_num_outputs + bytes(4))] = rpc_message(4, encode_sequence([0, 1]))
    session = Session(ScriptedTransport(ScriptedDevice(answers.__getitem__)))
    session.open()
    executor = AotExecutor(RpcClient(session), ModelArchive.open(MLP))
    example = examples(MLP)
    sent, received = (
        bytes.fromhex(mark.partition("=")[2].partition(" ")[0])
        for mark in traces.marks("mlp_f32_aot")
        if mark.partition("=")[0].endswith("put")
    )
    executor.set_input("input", numpy.frombuffer(sent, "float32").reshape(1, 64))
    executor.run()
    assert executor.get_output(0).tobytes() == received
    assert executor.get_output(0).shape == example["output_0"].shape
    assert executor.time_evaluator(2, 3) == pytest.approx([9.5e-06, 1e-05, 1.05e-05], rel=0.01)


@pytest.mark.parametrize(
    "kinds",
    ["Hsiiiiis", "Hsiiiiiiis", "Hsiiiiiiiis", "Hsiiiiiiiiis"],
    ids=["0.8", "0.9", "0.10 to 0.13", "0.14 and later"],
)
def test_a_time_evaluator_is_made_as_the_runtime_of_the_device_wants_it(kinds: str) -> None:
    made = Handle(7, 10)

    def create(*arguments: object) -> Handle:
        letters = {Handle: "H", str: "s", int: "i"}
        if "".join(letters[type(argument)] for argument in arguments) != kinds:
            raise DeviceError("one or more invalid arg types", "")
        return made

    assert create_time_evaluator(cast(RemoteFunction, create), (Handle(1, 9), "run", 1, 0, 2, 3, 0)) is made


def test_a_time_evaluator_that_is_refused_in_every_form_says_why_the_first_was() -> None:
    def create(*arguments: object) -> Handle:
        raise DeviceError(f"{len(arguments)} arguments", "")

    with pytest.raises(DeviceError, match="12 arguments"):
        create_time_evaluator(cast(RemoteFunction, create), (Handle(1, 9), "run", 1, 0, 2, 3, 0))


LINKED_DENSE = """
#include <tvm/runtime/crt/module.h>

static const float weights[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static int32_t lookup(TVMValue* args, int* codes, int n, TVMValue* out, int* out_code, void* resource) {
  if (args[0].v_int64 == 1) {
    out->v_handle = (void*)weights;
    *out_code = kTVMOpaqueHandle;
  } else {
    *out_code = kTVMNullptr;
  }
  return 0;
}

static int32_t dense(TVMValue* args, int* codes, int n, TVMValue* out, int* out_code, void* resource) {
  const float* image = ((DLTensor*)args[0].v_handle)->data;
  const float* p0 = ((DLTensor*)args[1].v_handle)->data;
  float* result = ((DLTensor*)args[2].v_handle)->data;
  for (int i = 0; i < 3; i++) {
    result[i] = 0;
    for (int j = 0; j < 4; j++) result[i] += p0[4 * i + j] * image[j];
  }
  return 0;
}

static TVMBackendPackedCFunc functions[] = {(TVMBackendPackedCFunc)lookup, (TVMBackendPackedCFunc)dense};
static const TVMFuncRegistry registry = {"\\002_lookup_linked_param\\0dense\\0", functions};
static const TVMModule library = {&registry};
const TVMModule* TVMSystemLibEntryPoint(void) { return &library; }
"""


def test_parameters_that_old_versions_link_into_the_code(build: Build, tmp_path: Path) -> None:
    """Check parameters of TVM 0.8 and 0.9, whose graph still lists linked parameters.

    The firmware reports their addresses by storage id.
    """
    graph = json.loads(json.dumps(GRAPH))
    graph["nodes"][2]["attrs"]["func_name"] = "dense"
    files = version_5()
    files["executor-config/graph/graph.json"] = json.dumps(graph)
    files["parameters/default.params"] = saved_params()
    files["codegen/host/src/lib0.c"] = LINKED_DENSE
    archive = write_archive(tmp_path / "linked.tar", files)
    with connected(build(archive)) as rpc:
        executor = create_executor(rpc, ModelArchive.open(archive))
        assert executor.input_names == ["image"]
        executor.set_input("image", numpy.array([[1, 1, 1, 1]], "float32"))
        executor.run()
        assert executor.get_output(0).tolist() == [[10, 26, 42]]


class TestTimes:
    @pytest.mark.parametrize(
        "archive",
        [
            pytest.param(DATA / "archives" / "graph_c.tar", id="graph"),
            pytest.param(MLP, id="aot"),
            pytest.param(DATA / "archives" / "aot_llvm.tar", id="main"),
        ],
    )
    def test_time_evaluator_gives_seconds_for_each_repeat(self, build: Build, archive: Path) -> None:
        example = examples(archive)
        with connected(build(archive)) as rpc:
            executor = create_executor(rpc, ModelArchive.open(archive))
            outputs = infer(executor, example)
            seconds = executor.time_evaluator(2, 3)
            assert len(seconds) == 3
            assert all(0 < second < 1 for second in seconds)
            assert_as_expected(outputs, example)

    def test_the_device_may_raise_the_number_of_runs(self, build: Build) -> None:
        with connected(build(MLP)) as rpc:
            executor = create_executor(rpc, ModelArchive.open(MLP))
            infer(executor, examples(MLP))
            assert 0 < executor.time_evaluator(1, 1, min_repeat_ms=5)[0] < 0.005


class TestMistakes:
    @pytest.fixture
    def executor(self, build: Build) -> Iterator[Executor]:
        with connected(build(MLP)) as rpc:
            yield create_executor(rpc, ModelArchive.open(MLP))

    def test_inputs_by_name_and_index(self, executor: Executor) -> None:
        example = examples(MLP)
        assert (executor.input_names, len(executor.outputs)) == (["input"], 1)
        for key in (0, "input"):
            inputs: Any = {key: example["input_input"]}
            (output,) = executor.infer(inputs)
            numpy.testing.assert_allclose(output, example["output_0"], atol=1e-5)

    @pytest.mark.parametrize("key", [1, -1, "inptu"])
    def test_an_input_that_is_not_there(self, executor: Executor, key: Any) -> None:
        with pytest.raises(PlatformError, match=f"no input {key!r}.\nIt has these, in this order: input"):
            executor.set_input(key, numpy.zeros((1, 64), "float32"))

    @pytest.mark.parametrize("index", [1, -1])
    def test_an_output_that_is_not_there(self, executor: Executor, index: int) -> None:
        with pytest.raises(PlatformError, match=f"no output {index}"):
            executor.get_output(index)

    @pytest.mark.parametrize(
        ("array", "shown"),
        [
            (numpy.zeros((1, 64)), "float64 1x64"),
            (numpy.zeros((64,), "float32"), "float32 64"),
            (numpy.zeros((1, 65), "float32"), "float32 1x65"),
            (numpy.float32(1), "float32 scalar"),
            ("text", "<U4 scalar"),
        ],
    )
    def test_an_array_that_does_not_fit(self, executor: Executor, array: Any, shown: str) -> None:
        with pytest.raises(PlatformError, match=f"takes float32 1x64 .256 bytes., not {shown}"):
            executor.set_input(0, array)

    def test_arrays_in_any_memory_order(self, executor: Executor) -> None:
        example = examples(MLP)
        executor.set_input(0, numpy.repeat(example["input_input"], 2, axis=1)[:, ::2])
        executor.run()
        numpy.testing.assert_allclose(executor.get_output(), example["output_0"], atol=1e-5)

    @pytest.mark.parametrize(
        ("on_device", "archive"), [(MLP, KWS), (DATA / "archives" / "aot_c.tar", MLP)], ids=["graph", "aot"]
    )
    def test_firmware_of_another_model(self, build: Build, on_device: Path, archive: Path) -> None:
        with connected(build(on_device)) as rpc:  # noqa: SIM117 (the device must start)
            with pytest.raises(ProtocolError, match="made of another model"):
                create_executor(rpc, ModelArchive.open(archive))

    def test_an_archive_of_single_operators(self, build: Build) -> None:
        with connected(build(MLP)) as rpc, pytest.raises(ArchiveError, match="single operators"):
            create_executor(rpc, ModelArchive.open(DATA / "archives" / "operator_c.tar"))

    def test_memory_that_is_too_small_is_given_back_and_said(self, build: Build) -> None:
        archive = DATA / "archives" / "graph_c_params.tar"
        with connected(build(archive, workspace=512)) as rpc:
            before = largest_block(rpc)
            with pytest.raises(DeviceError, match=r"allocating \d+ bytes"):
                create_executor(rpc, ModelArchive.open(archive))
            assert largest_block(rpc) == before

    def test_a_failing_call_leaves_the_session_usable(self, build: Build) -> None:
        example = examples(MLP)
        with connected(build(MLP)) as rpc:
            create = rpc.get_function("tvm.aot_executor.create")
            with pytest.raises(DeviceError, match=r"failed at tvm\.aot_executor\.create"):
                create("x")
            with pytest.raises(DeviceError):
                create(rpc.system_lib(), CPU, "no_such_model")
            executor = create_executor(rpc, ModelArchive.open(MLP))
            assert_as_expected(infer(executor, example), example)


class TestMainFunction:
    """Main function of an archive, as described in an object of the LLVM code generator."""

    def test_arguments(self) -> None:
        archive = ModelArchive.open(DATA / "archives" / "aot_llvm_many.tar")
        assert archive.main is not None
        strides = [archive.main.argument(index).strides for index in range(7)]
        assert strides == [(3, 1), (1,), (1,), (3, 1), (3, 1), (1,), ()]
        assert [tensor.shape for tensor in archive.outputs] == [(2, 3), (2, 3), (4,), ()]
        assert not any(is_workspace(name) or is_constants(name) for name in archive.main.names)

    def test_a_module_name_stands_in_the_code_as_it_is(self, tmp_path: Path) -> None:
        """Check a name found in objects of a model that was built with mod_name="my-net"."""
        main = {"version": 7, "modules": {"my-net": module_metadata()}}
        text = b"x_code == 3 || x_code == 7, tvmgen_my-net___tvm_main__: Expect arg[0] to be pointer\0"
        files: Dict[str, Union[str, bytes]] = {
            "metadata.json": json.dumps(main),
            "codegen/host/lib/my-net_lib0.o": b"\x7fELF\0" + text,
        }
        archive = ModelArchive.open(write_archive(tmp_path / "model.tar", files))
        assert archive.main is not None and archive.main.names == ["x"]

    def test_objects_that_say_nothing(self) -> None:
        assert ModelArchive.open(MLP).main is None

    def test_a_planned_workspace_is_one_more_argument(self) -> None:
        main = ModelArchive.open(DATA / "archives" / "aot_llvm_planned.tar").main
        assert main is not None
        *others, last = main.names
        assert others == ["x", "y", "output"] and is_workspace(last)

    def test_a_planned_workspace_has_room_for_what_vector_code_writes_beyond_it(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = DATA / "archives" / "aot_llvm_planned.tar"
        sizes: List[int] = []
        allocate = RpcClient.allocate

        def record(rpc: RpcClient, nbytes: int, dtype: DType) -> int:
            sizes.append(nbytes)
            return allocate(rpc, nbytes, dtype)

        monkeypatch.setattr(RpcClient, "allocate", record)
        archive = ModelArchive.open(path)
        example = examples(path)
        with connected(build(path)) as rpc:
            assert_as_expected(infer(create_executor(rpc, archive), example), example)
        pool = sizes[3]  # after two inputs and the output
        assert pool % 64 == 0
        assert pool >= archive.workspace_size_bytes + 64

    def test_weights_that_the_archive_lacks_are_refused(self, build: Build) -> None:
        """Check an AOT archive whose weights are lost.

        The planner moves the weights out of the code, and the LLVM code generator then drops them.
        """
        archive = DATA / "archives" / "aot_llvm_weightless.tar"
        with connected(build(archive)) as rpc:  # noqa: SIM117 (the device must start)
            with pytest.raises(ArchiveError, match=r"requires its constants as arguments") as caught:
                create_executor(rpc, ModelArchive.open(archive))
        assert "tir.usmp.enable" in caught.value.next_step


class TestGraph:
    @pytest.fixture
    def kws(self) -> Dict[str, Any]:
        text = ModelArchive.open(KWS).text("executor-config/graph/default.graph")
        graph: Dict[str, Any] = json.loads(text)
        return graph

    def test_a_storage_is_as_large_as_its_largest_entry(self, kws: Dict[str, Any]) -> None:
        sizes = parse_graph(json.dumps(kws)).storage_bytes()
        assert {storage: size for storage, (size, _) in sizes.items()} == {
            0: 490, 1: 980, 2: 32000, 3: 16000, 4: 128, 5: 12,
        }  # fmt: skip

    def test_kernels_and_their_arguments(self, kws: Dict[str, Any]) -> None:
        graph = parse_graph(json.dumps(kws))
        assert len(graph.calls) == 13
        assert graph.calls[0].arguments == ((0, (1, 1, 49, 10)), (1, (1, 1, 49, 10, 1)))
        assert (graph.arguments, graph.outputs) == ({"input": 0}, [13])

    def test_a_kernel_may_ask_for_flat_tensors(self, kws: Dict[str, Any]) -> None:
        kws["nodes"][1]["attrs"]["flatten_data"] = "1"
        assert parse_graph(json.dumps(kws)).calls[0].arguments == ((0, (490,)), (1, (490,)))

    def test_reshapes_are_not_run(self, kws: Dict[str, Any]) -> None:
        kws["nodes"][13]["attrs"]["func_name"] = "__nop"
        kws["attrs"]["storage_id"][1][13] = kws["attrs"]["storage_id"][1][12]
        assert len(parse_graph(json.dumps(kws)).calls) == 12
        kws["attrs"]["storage_id"][1][13] = 99
        with pytest.raises(ArchiveError, match="reshapes into another storage"):
            parse_graph(json.dumps(kws))

    @pytest.mark.parametrize(
        "damage",
        [
            lambda graph: graph.pop("nodes"),
            lambda graph: graph["attrs"].pop("shape"),
            lambda graph: graph["attrs"]["dltype"][1].__setitem__(0, "complex"),
            lambda graph: graph["attrs"]["shape"][1].__setitem__(0, [-1]),
            lambda graph: graph["attrs"]["shape"][1].__setitem__(0, 7),
            lambda graph: graph["nodes"][1].__setitem__("op", "tvm_other"),
            lambda graph: graph["nodes"][1].__setitem__("inputs", [[99, 0, 0]]),
            lambda graph: graph["node_row_ptr"].__setitem__(0, -5),
            lambda graph: graph.__setitem__("heads", [[13, 7, 0]]),
            lambda graph: graph.__setitem__("nodes", 5),
        ],
    )
    def test_damage_is_an_archive_error(self, kws: Dict[str, Any], damage: Callable[[Any], Any]) -> None:
        damage(kws)
        with pytest.raises(ArchiveError, match="cannot be read"):
            parse_graph(json.dumps(kws))

    @pytest.mark.parametrize("text", ["", "[]", "null", "{" * 100_000, '{"nodes": []}'])
    def test_other_texts_are_archive_errors_too(self, text: str) -> None:
        with pytest.raises(ArchiveError, match="cannot be read"):
            parse_graph(text)
