# SPDX-License-Identifier: Apache-2.0
"""Files of torch.export: what is read, and hostile files that are refused before PyTorch reads them."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Final, List, Mapping, Tuple

import numpy as np
import pytest
import torch

from runtime.host.compile.errors import ModelError
from runtime.host.compile.torch_import.importing import import_program
from runtime.host.compile.torch_import.program_file import read_program
from runtime.host.compile.torch_import.reference import TorchReference
from runtime.host.errors import PlatformError
from tests.compile.torch.running import error_of, exported

JSON: Final = "models/model.json"
COUNT: Final = int(os.environ.get("MICROTVM_CHANGED_FILES", "60"))
WEIGHTS: Final = "data/weights/model_weights_config.json"


class Net(torch.nn.Module):
    """Module with parameters of several layouts, a buffer and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.strided = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3)[:, :2])
        self.register_buffer("buffer", torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x: torch.Tensor) -> Dict[str, torch.Tensor]:
        y = self.linear(x) + self.buffer * torch.tensor([0.5, 1.0, 2.0])
        return {"scores": y, "last": y[:, -1], "strided": self.strided + x.sum()}


@pytest.fixture
def program() -> Any:
    torch.manual_seed(1)
    return exported(Net(), [torch.randn(2, 4)])


@pytest.fixture
def file(program: Any, tmp_path: Path) -> Path:
    path = tmp_path / "model.pt2"
    torch.export.save(program, path)
    return path


def changed(path: Path, change: Callable[[Dict[str, bytes]], None]) -> Path:
    """Rewrite the members of a .pt2 file."""
    with zipfile.ZipFile(path) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"model/{name}", content)
    return path


def with_json(name: str, change: Callable[[Any], None]) -> Callable[[Dict[str, bytes]], None]:
    def rewrite(members: Dict[str, bytes]) -> None:
        value = json.loads(members[name])
        change(value)
        members[name] = json.dumps(value).encode()

    return rewrite


class Bomb:
    """Object whose pickle makes a directory when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_program(path)
    assert caught.value.what.endswith(".") and caught.value.next_step.endswith(".")
    return caught.value.what


def test_a_program_from_a_file_answers_as_before(program: Any, file: Path) -> None:
    x = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], "float32")
    before, after = TorchReference(program).run({"x": x}), TorchReference(read_program(file)).run({"x": x})
    assert [list(array.ravel()) for array in after.values()] == [
        list(array.ravel()) for array in before.values()
    ]


def test_a_program_from_a_file_compiles(file: Path) -> None:
    assert error_of(read_program(file), [torch.randn(2, 4)]) < 1e-6


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="cannot be read"):
        read_program(tmp_path / "none.pt2")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="cannot be read"):
        read_program(tmp_path)


def test_a_pickle_of_a_module(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "net.pt")
    assert "a pickle of torch.save" in refusal(tmp_path / "net.pt")


def test_an_old_pickle(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "made")))
    assert "a pickle" in refusal(tmp_path / "net.pt")
    assert not (tmp_path / "made").exists()


def test_torchscript(tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "net.pt"))
    assert "TorchScript" in refusal(tmp_path / "net.pt")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(100), b"onnx", b"\x80\x02K"])
def test_another_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(content)
    refusal(tmp_path / "net.pt2")


def test_each_truncation_is_refused(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    for size in range(0, len(data), max(1, len(data) // 60)):
        (tmp_path / "cut.pt2").write_bytes(data[:size])
        refusal(tmp_path / "cut.pt2")


def test_example_inputs_are_not_read(file: Path, tmp_path: Path) -> None:
    bomb = io.BytesIO()
    torch.save((Bomb(tmp_path / "made"),), bomb)
    changed(file, lambda members: members.update({"data/sample_inputs/model.pt": bomb.getvalue()}))
    read_program(file)
    assert not (tmp_path / "made").exists()


def test_weights_and_constants_in_the_old_form_are_not_read(file: Path, tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "made"))
    changed(
        file,
        lambda members: members.update({"data/weights/model.pt": bomb, "data/constants/model.pt": bomb}),
    )
    read_program(file)
    assert not (tmp_path / "made").exists()


def test_a_file_without_plain_weights_is_refused(file: Path, tmp_path: Path) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "made"))
    changed(file, lambda members: members.update({"data/weights/model.pt": bomb}))
    changed(file, lambda members: members.__delitem__(WEIGHTS))
    assert "pickled weights" in refusal(file)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["weight_0", "opaque_obj_0", "custom_obj_0", "../../../etc/passwd"])
def test_a_pickled_weight_is_refused(file: Path, name: str, tmp_path: Path) -> None:
    def change(config: Any) -> None:
        config["config"]["buffer"].update(use_pickle=True, path_name=name)

    changed(file, with_json(WEIGHTS, change))
    changed(
        file,
        lambda members: members.update({f"data/weights/{name}": pickle.dumps(Bomb(tmp_path / "made"))}),
    )
    assert "pickle" in refusal(file)
    assert not (tmp_path / "made").exists()


def test_compiled_code_is_refused(file: Path) -> None:
    changed(file, lambda members: members.update({"data/aotinductor/model/model.so": b"\x7fELF"}))
    assert "AOTInductor" in refusal(file)


def first_node(program: Any) -> Any:
    return program["graph_module"]["graph"]["nodes"][0]


def tensors(program: Any) -> Any:
    return program["graph_module"]["graph"]["tensor_values"]


CODE: Final = "__import__('os').mkdir('made')"
HOSTILE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "operator of torch": lambda program: first_node(program).update(target="torch.hub.load"),
    "operator of Python": lambda program: first_node(program).update(target="_operator.add"),
    "operator of another library": lambda program: first_node(program).update(
        target="torch.ops.mine.add.default"
    ),
    "operator that reads a file": lambda program: first_node(program).update(
        target="torch.ops.aten.from_file.default",
        inputs=[{"name": "filename", "arg": {"as_string": "made"}, "kind": 1}],
    ),
    "private operator": lambda program: first_node(program).update(
        target="torch.ops.aten._reshape_alias.default"
    ),
    "operator that does not exist": lambda program: first_node(program).update(
        target="torch.ops.aten.nothing.default"
    ),
    "expression as a shape": lambda program: tensors(program)["x"].update(
        sizes=[{"as_expr": {"expr_str": CODE, "hint": {"as_int": 2}}}, {"as_int": 4}]
    ),
    "expression as a stride": lambda program: tensors(program)["x"].update(
        strides=[{"as_expr": {"expr_str": CODE, "hint": None}}, {"as_int": 1}]
    ),
    "symbol": lambda program: program["graph_module"]["graph"].update(
        sym_int_values={"s": {"as_expr": {"expr_str": CODE, "hint": None}}}
    ),
    "expression as an argument": lambda program: first_node(program)["inputs"][0].update(
        arg={"as_sym_int": {"as_expr": {"expr_str": CODE}}}
    ),
    "operator as an argument": lambda program: first_node(program)["inputs"][0].update(
        arg={"as_operator": "torch.hub.load"}
    ),
    "graph as an argument": lambda program: first_node(program)["inputs"][0].update(arg={"as_graph": {}}),
    "code in a name": lambda program: program["graph_module"]["graph"]["inputs"][0].update(
        as_tensor={"name": f"x={CODE}"}
    ),
    "code in the name of a node": lambda program: first_node(program).update(name=f"x=1;{CODE}"),
    "code in the name of an argument": lambda program: first_node(program)["inputs"][0].update(
        name=f"x={CODE}"
    ),
    "keyword as a name": lambda program: first_node(program).update(name="import"),
    "huge tensor": lambda program: tensors(program)["x"].update(
        sizes=[{"as_int": 1 << 50}, {"as_int": 1 << 50}]
    ),
    "negative extent": lambda program: tensors(program)["x"].update(sizes=[{"as_int": -2}, {"as_int": 4}]),
    "boolean extent": lambda program: tensors(program)["x"].update(sizes=[{"as_int": "2"}, {"as_int": 4}]),
    "another device": lambda program: tensors(program)["x"].update(device={"type": "cuda", "index": 0}),
    "no graph": lambda program: program.pop("graph_module"),
    "list as a graph": lambda program: program.update(graph_module=[]),
    "value that does not exist": lambda program: first_node(program)["inputs"][0].update(
        arg={"as_tensor": {"name": "nothing"}}
    ),
    "version of the future": lambda program: program.update(schema_version={"major": 99, "minor": 0}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_is_refused(
    file: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changed(file, with_json(JSON, HOSTILE[name]))
    assert len(refusal(file)) < 500
    assert not (tmp_path / "made").exists()


def test_guards_and_structures_of_a_file_are_not_evaluated(file: Path, tmp_path: Path) -> None:
    def change(program: Any) -> None:
        program["guards_code"] = [CODE]
        program["verifiers"] = ["nothing"]
        program["graph_module"]["module_call_graph"] = [{"fqn": CODE, "signature": {"in_spec": CODE}}]
        first_node(program)["metadata"] = {"nn_module_stack": CODE, "custom": CODE}

    changed(file, with_json(JSON, change))
    assert error_of(read_program(file), [torch.randn(2, 4)]) < 1e-6


@pytest.mark.parametrize(
    "meta",
    [
        {"sizes": [{"as_int": 1000}], "strides": [{"as_int": 1}]},
        {"sizes": [{"as_int": 3}], "strides": [{"as_int": 1000}]},
        {"storage_offset": {"as_int": 1000}},
        {"sizes": [{"as_int": 3}], "strides": []},
        {"sizes": [{"as_int": 1 << 33}], "strides": [{"as_int": 0}]},
        {"dtype": 999},
        {"layout": 999},
    ],
)
def test_weights_that_do_not_fit_their_bytes_are_refused(file: Path, meta: Any) -> None:
    changed(file, with_json(WEIGHTS, lambda config: config["config"]["buffer"]["tensor_meta"].update(meta)))
    refusal(file)


VALUES: Final[List[Any]] = [
    None,
    True,
    -1,
    0,
    1,
    3,
    7,
    1 << 70,
    0.5,
    "x",
    "linear",
    CODE,
    [],
    {},
    [[]],
    {"as_int": 2},
]


def places(value: Any) -> List[Tuple[Any, Any]]:
    """Return each list or object of a JSON with each key or index."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@pytest.mark.parametrize("name", [JSON, WEIGHTS])
def test_a_changed_value_is_refused_or_harmless(
    file: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose, data = random.Random(6), file.read_bytes()
    monkeypatch.chdir(tmp_path)

    def change(value: Any) -> None:
        parent, key = choose.choice(places(value))
        parent[key] = choose.choice(VALUES)

    accepted = 0
    for _ in range(COUNT):
        file.write_bytes(data)
        changed(file, with_json(name, change))
        try:
            import_program(read_program(file))
            accepted += 1
        except PlatformError as error:
            assert error.what.endswith(".") and len(error.what) < 700
    assert accepted < COUNT
    assert not (tmp_path / "made").exists()
