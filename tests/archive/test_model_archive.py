# SPDX-License-Identifier: Apache-2.0
"""Reader of model archives: every version, style and kind of code, and clear errors for missing parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy
import pytest

from runtime.host.archive.graph import parse_graph
from runtime.host.archive.model_archive import ModelArchive, TensorSpec
from runtime.host.archive.params import parse_params
from runtime.host.errors import ArchiveError
from tests.support.archives import (
    GRAPH,
    RELAY,
    SOURCE,
    full_model,
    module_metadata,
    saved_params,
    version_5,
    write_archive,
)

MODELS = Path(__file__).resolve().parents[1] / "data" / "models"
ARCHIVES = MODELS.parent / "archives"

IMAGE = TensorSpec("image", "float32", (1, 4), 16, "image")

C_HEADER = """
#ifndef TVMGEN_MYNET_H_
/*! struct tvmgen_mynet_inputs { void* not_this; }; */
#define TVMGEN_MYNET_IMAGE_SIZE 16
struct tvmgen_mynet_inputs {
  void* image;
};
struct tvmgen_mynet_outputs {
  void* output;
};
struct tvmgen_mynet_workspace_pools {
  void* sram;
};
int32_t tvmgen_mynet_run(
  struct tvmgen_mynet_inputs* inputs,
  struct tvmgen_mynet_outputs* outputs,
  struct tvmgen_mynet_workspace_pools* workspace_pools
);
#define TVMGEN_MYNET_SRAM_WORKSPACE_POOL_SIZE 64
#endif
"""

C_METADATA = """
static const int64_t kTvmgenMetadata_inputs_0_shape[2] = {
1L,
4L};
static const int64_t kTvmgenMetadata_inputs_1_shape[0] = {
};
static const struct TVMTensorInfo kTvmgenMetadata_inputs[2] = {
{
"image_0" /* name*/,
kTvmgenMetadata_inputs_0_shape,
2L /* num_shape*/,
{2, 32, 1} /* dtype*/}
,
{
"ask" /* name*/,
kTvmgenMetadata_inputs_1_shape,
0L /* num_shape*/,
{1, 1, 1} /* dtype*/}
};
static const int64_t kTvmgenMetadata_outputs_0_shape[2] = {
1L,
3L};
static const int64_t kTvmgenMetadata_outputs_1_shape[1] = {
12L};
static const struct TVMTensorInfo kTvmgenMetadata_outputs[2] = {
{
"output0" /* name*/,
kTvmgenMetadata_outputs_0_shape,
2L /* num_shape*/,
{2, 32, 1} /* dtype*/}
,
{
"output1" /* name*/,
kTvmgenMetadata_outputs_1_shape,
1L /* num_shape*/,
{0, 8, 1} /* dtype*/}
};
"""


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., ModelArchive]:
    """Return a function that opens an archive made of the given files."""

    def open_files(files: Dict[str, Any]) -> ModelArchive:
        return ModelArchive.open(write_archive(tmp_path / "model.tar", files))

    return open_files


def with_main(**tensors: Any) -> Dict[str, Any]:
    """Return a field "memory" whose main function has these inputs and outputs."""
    return {"memory": {"functions": {"main": [{"device": 1, **tensors}]}}}


def test_real_aot_archive() -> None:
    archive = ModelArchive.open(MODELS / "mlp_f32_aot.tar")
    assert (archive.version, archive.style, archive.executor, archive.interface) == (
        7,
        "full-model",
        "aot",
        "packed",
    )
    assert archive.module == "default"
    assert archive.inputs == [TensorSpec("input", "float32", (1, 64), 256, "input")]
    assert archive.outputs == [TensorSpec("output", "float32", (1, 10), 40, "output")]
    assert archive.workspace_size_bytes == 288
    assert archive.sources == [f"codegen/host/src/default_lib{index}.c" for index in range(3)]
    assert archive.objects == archive.headers == []
    assert archive.graph is None
    assert archive.has_system_library


def test_real_graph_archive() -> None:
    archive = ModelArchive.open(MODELS / "kws_i8_graph.tar")
    assert archive.executors == ["graph"]
    assert archive.inputs == [TensorSpec("input", "int8", (1, 1, 49, 10), 490, "input")]
    assert archive.outputs == [TensorSpec("output", "int8", (1, 12), 12, "output")]
    assert archive.operator_workspace_size_bytes == 24272
    # metadata.json has 16000 for storage that two tensors share; one of them needs 32000.
    assert archive.storage_sizes_bytes == [490, 980, 32000, 16000, 128, 12]
    assert archive.allocated_bytes == [1392, 24192, 24192, 24192, 24192]
    assert archive.graph is not None and len(archive.graph.calls) == 13
    assert archive.parameters == {}


@pytest.mark.parametrize(
    ("name", "static", "allocated"),
    [("aot_c_planned", 56, []), ("aot_c", 0, [24, 12]), ("aot_llvm", 0, None), ("operator_c", 0, [])],
)
def test_workspace_of_the_generated_code(name: str, static: int, allocated: Optional[List[int]]) -> None:
    archive = ModelArchive.open(ARCHIVES / f"{name}.tar")
    assert (archive.static_workspace_bytes, archive.allocated_bytes) == (static, allocated)


@pytest.mark.parametrize(("mode", "name"), [("w", "m.tar"), ("w", "m.tar.gz"), ("w:gz", "m.tar")])
def test_compression_is_found_by_content_and_not_by_name(tmp_path: Path, mode: str, name: str) -> None:
    assert ModelArchive.open(write_archive(tmp_path / name, mode=mode)).version == 7


def test_version_5_finds_its_tensors_in_the_graph(opened: Callable[..., ModelArchive]) -> None:
    archive = opened(version_5())
    assert (archive.version, archive.style, archive.module) == (5, "full-model", "default")
    assert archive.inputs == [IMAGE], "the parameter p0 is an argument of the graph but not an input"
    assert [(tensor.dtype, tensor.shape, tensor.size_bytes) for tensor in archive.outputs] == [
        ("float32", (1, 3), 12)
    ]
    assert archive.graph == parse_graph(json.dumps(GRAPH))
    assert archive.sources == ["codegen/host/src/lib0.c"]


def test_version_5_with_c_interface_takes_types_from_relay(opened: Callable[..., ModelArchive]) -> None:
    files = version_5("aot")
    header = C_HEADER.replace("mynet", "default").replace("  void* output;", "  void* probs;")
    files["codegen/host/include/tvmgen_default.h"] = header
    archive = opened(files)
    assert archive.inputs == [IMAGE]
    assert archive.outputs == [TensorSpec("probs", "float32", (1, 3), 12, "probs")]


def test_version_6_has_one_module_at_the_top_too(opened: Callable[..., ModelArchive]) -> None:
    files = full_model()
    files["metadata.json"] = json.dumps({"version": 6, **module_metadata(), "external_dependencies": []})
    archive = opened(files)
    assert (archive.version, archive.executor, archive.module) == (6, "aot", "default")
    assert archive.inputs == [IMAGE._replace(shape=None)]


def test_operator_style(opened: Callable[..., ModelArchive]) -> None:
    argument = {"size_bytes": 64, "shape": [4, 4], "dtype": "float32", "input_binding": None}
    metadata = {
        "version": 7,
        "model_name": "add_one",
        "memory": {"add_one": [{**argument, "input_binding": "A"}, argument]},
        "target": ["llvm"],
        "executors": [],
        "style": "operator",
    }
    archive = opened({"metadata.json": json.dumps(metadata), "codegen/host/lib/lib0.o": b"\x7fELF"})
    assert (archive.style, archive.executor, archive.executors) == ("operator", None, [])
    assert archive.operators == {
        "add_one": [
            TensorSpec("A", "float32", (4, 4), 64, "A"),
            TensorSpec("arg1", "float32", (4, 4), 64, "arg1"),
        ]
    }
    assert archive.inputs == archive.outputs == []
    assert archive.objects == ["codegen/host/lib/lib0.o"]


def test_c_interface_header(opened: Callable[..., ModelArchive]) -> None:
    """Check that TVM's lower-case module name in this header is accepted and that comments are not code."""
    files = {
        "metadata.json": json.dumps({"version": 7, "modules": {"MyNet": module_metadata()}}),
        "codegen/host/src/MyNet_lib0.c": SOURCE,
        "codegen/host/include/tvmgen_mynet.h": C_HEADER,
    }
    archive = opened(files)
    call = archive.c_interface
    assert archive.interface == "c" and call is not None
    assert (call.header, call.prefix, call.run) == ("tvmgen_mynet.h", "tvmgen_mynet", "tvmgen_mynet_run")
    assert call.arguments == ("inputs", "outputs", "workspace_pools")
    assert (call.inputs, call.outputs) == (("image",), ("output",))
    assert call.members["workspace_pools"] == ("sram",)
    assert archive.outputs == [TensorSpec("output", "float32", None, 12, "output")]


def test_tensors_stand_in_the_order_of_the_code_and_not_of_metadata_json(
    opened: Callable[..., ModelArchive],
) -> None:
    declared = with_main(
        inputs={"ask": {"dtype": "bool", "size": 1}, "image:0": {"dtype": "float32", "size": 16}},
        outputs={"labels": {"dtype": "int8", "size": 12}, "probs": {"dtype": "float32", "size": 12}},
    )
    files = full_model(**declared)
    files["codegen/host/src/default_lib1.c"] = C_METADATA
    archive = opened(files)
    assert archive.inputs == [
        TensorSpec("image:0", "float32", (1, 4), 16, "image_0"),
        TensorSpec("ask", "bool", (), 1, "ask"),
    ]
    assert archive.outputs == [
        TensorSpec("probs", "float32", (1, 3), 12, "probs"),
        TensorSpec("labels", "int8", (12,), 12, "labels"),
    ]


def test_outputs_that_cannot_be_told_apart_keep_the_names_of_the_code(
    opened: Callable[..., ModelArchive],
) -> None:
    same = {"dtype": "int8", "size": 12}
    files = full_model(**with_main(inputs={}, outputs={"alpha": same, "zeta": same}))
    code = C_METADATA.replace("3L}", "12L}").replace("1L,\n12L", "12L").replace("{2, 32, 1}", "{0, 8, 1}")
    files["codegen/host/src/default_lib1.c"] = code
    assert [tensor.name for tensor in opened(files).outputs] == ["output0", "output1"]


def test_more_than_ten_outputs_are_in_order(opened: Callable[..., ModelArchive]) -> None:
    outputs = {f"output{index}": {"dtype": "int8", "size": index + 1} for index in range(12)}
    archive = opened(full_model(**with_main(outputs=dict(sorted(outputs.items())))))
    assert [tensor.size_bytes for tensor in archive.outputs] == list(range(1, 13))


def test_shapes_from_relay_alone(opened: Callable[..., ModelArchive]) -> None:
    """Check shapes of an AOT archive of the LLVM code generator, which has no C metadata."""
    files = full_model(
        **with_main(
            inputs={"image": {"dtype": "float32", "size": 16}, "scale:0": {"dtype": "float32", "size": 4}},
            outputs={"probs": {"dtype": "float32", "size": 12}},
        )
    )
    files["src/default.relay"] = RELAY
    archive = opened(files)
    assert archive.inputs == [IMAGE, TensorSpec("scale:0", "float32", (), 4, "scale_0")]
    assert archive.outputs == [TensorSpec("probs", "float32", (1, 3), 12, "probs")]


@pytest.mark.parametrize(
    "relay",
    [
        "",
        "def @main(",
        "def @main(%image: Tensor[(1, ?), float32]) {\n",
        "def @main(%image: Tensor[(7), int8]) {\n",
        "def @main(%image {virtual_device=Target(keys={'cpu'})}: Tensor[(1, 8), float32]) {\n",
    ],
    ids=["empty", "cut", "dynamic", "another-size", "other-type"],
)
def test_a_shape_that_does_not_fit_is_no_shape(opened: Callable[..., ModelArchive], relay: str) -> None:
    assert opened({**full_model(), "src/default.relay": relay}).inputs == [IMAGE._replace(shape=None)]


def test_annotated_relay(opened: Callable[..., ModelArchive]) -> None:
    relay = "def @main(%image {virtual_device=Target(keys={'cpu'})}: Tensor[(1, 4), float32]) {\n"
    assert opened({**full_model(), "src/default.relay": relay}).inputs == [IMAGE]


def test_an_archive_of_several_modules_is_refused_with_what_to_do() -> None:
    with pytest.raises(ArchiveError, match="contains 2 modules, expected 1: first, second") as caught:
        ModelArchive.open(ARCHIVES / "two_modules.tar")
    assert caught.value.next_step.startswith("Export each module to a separate archive")


def named(module: str) -> Dict[str, Any]:
    """Return the files of a model whose module has this name, as TVM would write them."""
    return {
        "metadata.json": json.dumps({"version": 7, "modules": {module: module_metadata()}}),
        "codegen/host/src/lib0.c": SOURCE,
    }


@pytest.mark.parametrize("name", ["default", "MyNet", "9net", "my-net", "my.net", "_", "x" * 100])
def test_plain_module_names(opened: Callable[..., ModelArchive], name: str) -> None:
    assert opened(named(name)).module == name


@pytest.mark.parametrize(
    "name",
    [
        'a"b',
        "a\\b",
        "a\nb",
        'x"; int y; char z[] = "',
        "a b",
        "../a",
        "a/b",
        "",
        "-a",
        ".",
        "n\u00e4h",
        "x" * 101,
    ],
)
def test_module_names_that_could_break_out_of_c_or_a_path(
    opened: Callable[..., ModelArchive], name: str
) -> None:
    with pytest.raises(ArchiveError, match="invalid module name") as caught:
        opened(named(name))
    assert "mod_name of letters, digits and underscores" in caught.value.next_step


def without(name: str) -> Callable[[], Dict[str, Any]]:
    def files() -> Dict[str, Any]:
        whole = full_model("graph")
        del whole[name]
        return whole

    return files


def with_metadata(text: Any) -> Callable[[], Dict[str, Any]]:
    return lambda: {
        **full_model(),
        "metadata.json": text if isinstance(text, (str, bytes)) else json.dumps(text),
    }


def no_code() -> Dict[str, Any]:
    return {name: text for name, text in full_model().items() if not name.startswith("codegen/")}


WRONG = [
    ("no-metadata", without("metadata.json"), ["is not a model archive", "metadata.json"]),
    ("no-graph", without("executor-config/graph/default.graph"), ["graph executor", "has no graph"]),
    ("no-code", no_code, ["no generated code", "codegen/"]),
    ("cplusplus", lambda: {**full_model(), "codegen/host/src/x.cc": ""}, ["C++", "codegen/host/src/x.cc"]),
    ("not-json", with_metadata("{"), ["metadata.json that is not valid JSON"]),
    ("not-utf8", with_metadata(b"\xff{}"), ["metadata.json that is not valid JSON"]),
    ("deep", with_metadata("[" * 100_000), ["metadata.json that is not valid JSON", "nested too deeply"]),
    ("long-number", with_metadata('{"version": ' + "7" * 5000 + "}"), ["more than 20 digits"]),
    ("a-list", with_metadata([1]), ["metadata.json: expected a JSON object"]),
    ("no-version", with_metadata({"modules": {}}), ["without a version", "5, 6, 7"]),
    ("version-4", with_metadata({"version": 4}), ["unsupported", "expected one of 5, 6, 7, got 4"]),
    ("version-8", with_metadata({"version": 8}), ["unsupported", "expected one of 5, 6, 7, got 8"]),
    ("version-text", with_metadata({"version": "7"}), ['5, 6, 7, got "7"']),
    ("version-true", with_metadata({"version": True}), ["5, 6, 7, got true"]),
    ("style", with_metadata({"version": 7, "style": "sketch"}), ["unknown style", "got 'sketch'"]),
    ("modules-list", with_metadata({"version": 7, "modules": []}), ["'modules' is not an object"]),
    ("no-modules", with_metadata({"version": 7, "modules": {}}), ["metadata.json without a module"]),
    ("module-text", with_metadata({"version": 7, "modules": {"a": "b"}}), ["'modules.a' is not an object"]),
    ("no-executor", lambda: full_model(executors=[]), ["without an executor for module 'default'"]),
    ("executor-vm", lambda: full_model(executors=["vm"]), ["unsupported executor", "aot or graph, got 'vm'"]),
    ("executor-odd", lambda: full_model(executors=[["aot"]]), ["unsupported executor"]),
    ("memory-list", lambda: full_model(memory=[]), ["'memory' is not an object"]),
]


@pytest.mark.parametrize(("files", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_said_at_once(
    opened: Callable[..., ModelArchive], files: Callable[[], Dict[str, Any]], words: Any
) -> None:
    with pytest.raises(ArchiveError) as caught:
        opened(files())
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "model.tar" in caught.value.what and caught.value.next_step


WRONG_LATER = [
    ("functions", {"memory": {"functions": 1}}, "'functions' is not an object"),
    ("main", {"memory": {"functions": {"main": {}}}}, "'main' is not a list"),
    ("negative", with_main(workspace_size_bytes=-1), "'workspace_size_bytes' is not a number of bytes"),
    ("text", with_main(workspace_size_bytes="9"), "'workspace_size_bytes' is not a number of bytes"),
    ("inputs", with_main(inputs=[1]), "'inputs' is not an object"),
    ("size", with_main(inputs={"x": {"dtype": "int8", "size": None}}), "'size' is not a number of bytes"),
    ("dtype", with_main(inputs={"x": {"dtype": 'int8"', "size": 1}}), "tensor 'x' has no valid dtype"),
    ("sids", {"memory": {"sids": 3}}, "'sids' is not a list"),
]


@pytest.mark.parametrize(
    ("changes", "words"), [case[1:] for case in WRONG_LATER], ids=[case[0] for case in WRONG_LATER]
)
def test_wrong_fields_are_named_when_they_are_asked_for(
    opened: Callable[..., ModelArchive], changes: Dict[str, Any], words: str
) -> None:
    archive = opened(full_model(**changes))
    with pytest.raises(ArchiveError, match=words):
        print(archive.inputs, archive.workspace_size_bytes, archive.storage_sizes_bytes)


def test_a_damaged_graph_is_an_archive_error(opened: Callable[..., ModelArchive]) -> None:
    files = {**full_model("graph"), "executor-config/graph/default.graph": "{"}
    with pytest.raises(ArchiveError, match="graph of the model archive cannot be read"):
        print(opened(files).inputs)


def test_a_graph_that_nobody_can_run_is_an_archive_error(opened: Callable[..., ModelArchive]) -> None:
    files = {**full_model("graph"), "executor-config/graph/default.graph": '{"nodes": [[]], "heads": 3}'}
    with pytest.raises(ArchiveError, match="cannot be read: KeyError"):
        print(opened(files).inputs)


def test_unpack_leaves_tvms_runtime_out(opened: Callable[..., ModelArchive], tmp_path: Path) -> None:
    files = {**full_model(), "runtime/include/x.h": "", "templates/t": "", "codegen/host/include/a.h": "//"}
    archive = opened(files)
    model = tmp_path / "project" / "model"
    archive.unpack(model)
    written = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
    assert written == {name for name in files if not name.startswith(("runtime/", "templates/"))}
    assert archive.sources == ["codegen/host/src/default_lib0.c", "codegen/host/src/default_lib1.c"]
    assert (model / archive.sources[0]).read_text() == SOURCE
    assert (model / archive.sources[0]).stat().st_mode & 0o111 == 0


def test_the_parameters_of_a_graph(opened: Callable[..., ModelArchive]) -> None:
    files = {**full_model("graph"), "parameters/default.params": saved_params("w")}
    assert opened(files).parameters == parse_params(saved_params("w"))
    del files["parameters/default.params"]
    assert opened(files).parameters == {}


@pytest.mark.parametrize(
    "path", sorted({*ARCHIVES.glob("*.tar*")} - {ARCHIVES / "two_modules.tar"}), ids=lambda path: path.name
)
def test_exported_archives_agree_with_the_arrays_beside_them(path: Path) -> None:
    """Check archives that TVM wrote.

    The .npz holds inputs by name in the order of the model, and outputs by number.
    """
    archive = ModelArchive.open(path)
    arrays = dict(numpy.load(ARCHIVES / (path.name.split(".", maxsplit=1)[0] + ".npz")))
    if archive.style == "operator":
        (arguments,) = archive.operators.values()
        assert [tensor.shape for tensor in arguments] == [array.shape for array in arrays.values()]
        return
    inputs = {name[len("input_") :]: array for name, array in arrays.items() if name.startswith("input_")}
    outputs = [array for name, array in arrays.items() if name.startswith("output_")]
    assert [tensor.name for tensor in archive.inputs] == list(inputs)
    assert len(archive.outputs) == len(outputs)
    for tensor, array in zip([*archive.inputs, *archive.outputs], [*inputs.values(), *outputs]):
        assert (tensor.dtype, tensor.size_bytes) == (array.dtype.name, array.nbytes)
        assert tensor.shape in (array.shape, None)
    assert all(tensor.shape is not None for tensor in archive.inputs)
