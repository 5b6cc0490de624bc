# SPDX-License-Identifier: Apache-2.0
"""compile, inspect and verify, and the other commands on a model file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

from runtime.host.commands.app import main as command_line
from tests.conftest import TEMPLATE, Baker, Platform
from tests.support import onnx_nets

ARCHIVES = TEMPLATE / "tests" / "data" / "archives"
DIGITS = TEMPLATE / "examples" / "digits"
SCHEMA = json.loads((TEMPLATE / "runtime/host/commands/output.schema.json").read_text(encoding="utf-8"))


class Line:
    """Command line in this process: TVM is imported once."""

    def __init__(self, platform: Path) -> None:
        self.platform = platform

    def __call__(self, *arguments: object, status: int = 0) -> str:
        """Return what a command prints, and check its exit status."""
        done = CliRunner().invoke(
            command_line, list(map(str, arguments)), obj=str(self.platform), prog_name="python mtvm.py"
        )
        assert done.exit_code == status, done.output
        assert "Traceback" not in done.output
        return done.output if "--json" not in arguments else done.stdout

    def json(self, *arguments: object, status: int = 0) -> Dict[str, Any]:
        """Return the document of a command, validated against the schema."""
        printed = self(*arguments, "--json", status=status)
        assert printed.count("\n") == 1, printed
        document: Dict[str, Any] = json.loads(printed, parse_constant=pytest.fail)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        return document


@pytest.fixture(scope="module")
def mtvm(default_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The command line of a platform in which the tests of this file generate projects."""
    return Line(shutil.copytree(default_platform.path, tmp_path_factory.mktemp("models") / "platform"))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier. Its path has a space and a quote."""
    return onnx_nets.classifier(tmp_path_factory.mktemp("it's a net") / "my net.onnx")


@pytest.fixture(scope="module")
def archive(mtvm: Line, net: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier as a model archive."""
    path = tmp_path_factory.mktemp("archive") / "net.tar"
    mtvm("compile", net, "-o", path)
    return path


def images(count: int) -> Any:
    return np.random.default_rng(count).random((count, 1, 6, 6), "float32")


def filled(number: float) -> Any:
    return np.full((1, 1, 6, 6), number, "float32")


class TestCompile:
    def test_the_table_and_the_archive(self, mtvm: Line, net: Path, tmp_path: Path) -> None:
        target = tmp_path / "new" / "net.tar"
        said = mtvm("compile", net, "-o", target)
        assert target.is_file()
        for row in (
            "operators    4\n",
            "parameters   270\n",
            "MACs         672\n",
            "arena        ",
            "constants    1,080 bytes\n",
            "code         ",
            "verified     y: largest error",
            f"Wrote {target}. Run it with: python mtvm.py run {target}",
        ):
            assert row in said, said

    def test_the_second_time_it_comes_from_the_cache(self, mtvm: Line, net: Path, tmp_path: Path) -> None:
        first = mtvm("compile", net, "-o", tmp_path / "a.tar")
        again = mtvm("compile", net, "-o", tmp_path / "b.tar")
        assert again.startswith("From the cache: ")
        assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
        rows = [line for line in first.splitlines() if line.startswith(("operators", "code", "verified"))]
        assert rows and [line for line in rows if line not in again] == []

    def test_a_line_per_stage(self, mtvm: Line, tmp_path: Path) -> None:
        said = mtvm("compile", onnx_nets.two_of_each(tmp_path / "two.onnx"), "--no-verify")
        assert [line.split("  ")[0] for line in said.splitlines() if line.endswith(" s")] == [
            "Reading the model",
            "Loading TVM",
            "Importing the operators",
            "Compiling the kernels",
        ]
        assert "verified     no: use `verify`" in said
        assert (tmp_path / "two.tar").is_file(), "the default is beside the model"

    def test_the_document(self, mtvm: Line, net: Path, tmp_path: Path) -> None:
        document = mtvm.json("compile", net, "-o", tmp_path / "net.tar")
        assert (document["operators"], document["parameters"], document["macs"]) == (4, 270, 672)
        assert document["code_bytes"] > 100 and document["is_cached"] in (True, False)
        assert document["inputs"] == [{"name": "x", "dtype": "float32", "shape": [1, 1, 6, 6], "bytes": 144}]
        assert document["verified"]["reference"] == "onnxruntime"
        assert Path(document["archive"]).is_file()

    def test_a_dynamic_shape(self, mtvm: Line, tmp_path: Path) -> None:
        dynamic = onnx_nets.classifier(tmp_path / "dynamic.onnx", "N")
        said = mtvm("compile", dynamic, status=1)
        assert "Input 'x' has a dynamic shape: N,1,6,6." in said
        assert "--input-shape x=1,1,6,6" in said
        assert "output 0: float32 [2, 5]" in mtvm("run", dynamic, "--input-shape", "x=2,1,6,6")
        assert "does not fit" in mtvm("compile", dynamic, "--input-shape", "x=2,1,6,7", status=1)
        assert "has no input 'z'" in mtvm("compile", dynamic, "--input-shape", "z=2", status=1)
        twice = ("--input-shape", "x=2,1,6,6") * 2
        assert "is a duplicate" in mtvm("compile", dynamic, *twice, status=1)

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("", "is a directory. | next:  Name a file in it, such as"),
            ("model.onnx", "--output would overwrite"),
            ("model.onnx/net.tar", "model.onnx is not a directory"),
            ("file/deep/net.tar", "file is not a directory"),
        ],
    )
    def test_a_target_that_cannot_be_written(
        self, mtvm: Line, tmp_path: Path, target: str, words: str
    ) -> None:
        model = onnx_nets.classifier(tmp_path / "model.onnx")
        (tmp_path / "file").write_text("")
        said = mtvm("compile", model, "-o", tmp_path / target, status=1).replace("\n", " | ")
        assert words in said and "Loading TVM" not in said
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model.onnx"]

    def test_a_directory_that_is_not_writable(
        self, mtvm: Line, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)  # root writes everywhere
        assert "is not writable" in mtvm("compile", net, "-o", tmp_path / "net.tar", status=1)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("nosuch.onnx", "There is no file"),
            ("folder.onnx", "is a directory, not a model file."),
            ("empty.onnx", "is not an ONNX model."),
            ("text.onnx", "is not an ONNX model."),
            ("m.tflite", "m.tflite is not a TensorFlow Lite model."),
            ("m.pt2", "PyTorch"),
            ("m.pt", "torch.export.save"),
            ("m.tar", "is a model archive, which is compiled already."),
            ("m.xyz", "expected the suffix .onnx, .tflite or .pt2."),
        ],
    )
    def test_what_is_no_model(self, mtvm: Line, tmp_path: Path, name: str, words: str) -> None:
        (tmp_path / "folder.onnx").mkdir()
        for file in ("empty.onnx", "text.onnx", "m.tflite", "m.pt2", "m.pt", "m.tar", "m.xyz"):
            (tmp_path / file).write_text("no model" * (file != "empty.onnx"))
        said = mtvm("compile", tmp_path / name, status=1)
        assert words in said and "next:" in said

    def test_a_failure_is_a_document(self, mtvm: Line) -> None:
        assert "There is no file" in mtvm.json("compile", "nosuch.onnx", status=1)["error"]["problem"]

    def test_another_board_is_unknown(self, mtvm: Line, net: Path) -> None:
        assert "nosuch" in mtvm("compile", net, "--board", "nosuch", status=1)


class TestCalibrate:
    @pytest.fixture
    def inputs(self, tmp_path: Path) -> Path:
        path = tmp_path / "inputs.npz"
        np.savez(path, x=images(20))
        return path

    def test_the_files_and_the_report(self, mtvm: Line, net: Path, inputs: Path, tmp_path: Path) -> None:
        before, target = net.read_bytes(), tmp_path / "new" / "my.tar"
        int8 = target.with_name("my_int8.onnx")
        said = mtvm("compile", net, "--calibrate", inputs, "-o", target)
        assert sorted(path.name for path in target.parent.iterdir()) == ["my.tar", "my_int8.onnx"]
        assert net.read_bytes() == before
        assert said.startswith("Quantizing the model ")
        report = r"\nquantization y: largest change \S+, mean \S+, where the model has at most \S+; the same "
        assert re.search(report + r"largest score for (19|20) of 20 sets of inputs\n", said), said
        assert f"Wrote {int8}, the quantized model." in said and f"Wrote {target}. Run it" in said
        assert "in float" not in said

    def test_the_answers(self, mtvm: Line, net: Path, inputs: Path, tmp_path: Path) -> None:
        document = mtvm.json("compile", net, "--calibrate", inputs, "-o", tmp_path / "my.tar")
        exact, rounded = (
            [onnx_nets.answers(path, {"x": one[None]})["y"] for one in images(20)]
            for path in (net, tmp_path / "my_int8.onnx")
        )
        change = np.abs(np.concatenate(exact) - np.concatenate(rounded))
        (found,) = document["quantization"]["outputs"]
        largest = float(np.abs(exact).max())
        assert document["quantization"]["sets_of_inputs"] == 20
        assert found["largest_value"] == pytest.approx(largest)
        assert 0 < change.max() < largest / 20
        # onnxruntime optimizes here, so that some roundings are others.
        assert found["largest_change"] == pytest.approx(change.max(), abs=largest / 100)
        assert document["model"] == str(tmp_path / "my_int8.onnx") and document["constant_bytes"] < 1080
        np.save(tmp_path / "x.npy", images(20)[:1])
        ran = mtvm.json("run", tmp_path / "my.tar", "-i", tmp_path / "x.npy")
        np.testing.assert_allclose(ran["outputs"][0]["values"], exact[0], atol=largest / 20)

    def test_one_set_and_a_dynamic_shape(self, mtvm: Line, tmp_path: Path) -> None:
        dynamic = onnx_nets.classifier(tmp_path / "dynamic.onnx", "N")
        np.savez(tmp_path / "one.npz", x=images(2))
        options = ("--calibrate", tmp_path / "one.npz")
        assert "Input 'x' has a dynamic shape" in mtvm("compile", dynamic, *options, status=1)
        said = mtvm("compile", dynamic, *options, "--input-shape", "x=2,1,6,6")
        assert f"Wrote {tmp_path / 'dynamic_int8.onnx'}, the quantized model." in said

    def test_large_constants_and_shapes(self, mtvm: Line, tmp_path: Path) -> None:
        np.savez(tmp_path / "in.npz", x=np.random.default_rng(0).standard_normal((4, 2, 40), "float32"))
        document = mtvm.json(
            "compile", onnx_nets.reshaped(tmp_path / "m.onnx"), "--calibrate", tmp_path / "in.npz"
        )
        (found,) = document["quantization"]["outputs"]
        assert found["largest_change"] < found["largest_value"] / 20

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({}, "does not hold input 'x' of the model."),
            ({"z": images(2)}, "the model has no input 'z'."),
            ({"x": images(2)[:, :, :5]}, "expected float32 [1, 1, 6, 6]"),
            ({"x": images(2).astype("float64")}, "got float64 [2, 1, 6, 6]"),
            ({"x": images(2)[:0]}, "got float32 [0, 1, 6, 6]"),
            (
                {"x": np.concatenate([images(1), filled(np.nan)])},
                "Input 'x' of set 1 contains NaN or infinity.",
            ),
            ({"x": filled(np.inf)}, "Input 'x' of set 0 contains NaN or infinity."),
            ({"x": filled(2e38)}, "Output 'y' of the model contains NaN for input set 0."),
            ({"x": images(1) * np.float32(5e37)}, " has an infinite range for these inputs."),
            ({"x": np.array([{}])}, "in.npz is damaged, or is not a .npy or .npz file."),
        ],
    )
    def test_arrays_that_do_not_fit(
        self, mtvm: Line, net: Path, tmp_path: Path, arrays: Dict[str, Any], words: str
    ) -> None:
        np.savez(tmp_path / "in.npz", **arrays)
        self.refused(mtvm, words, net, "--calibrate", tmp_path / "in.npz", "-o", tmp_path / "net.tar")
        assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("nosuch.npz", "nosuch.npz cannot be read: No such file or directory."),
            ("", "cannot be read: is a directory."),
            ("empty.npz", "empty.npz is damaged, or is not a .npy or .npz file."),
            ("text.npz", "text.npz is damaged, or is not a .npy or .npz file."),
            ("cut.npz", "cut.npz is damaged, or is not a .npy or .npz file."),
            ("array.npy", "array.npy holds one array without a name: expected an .npz file."),
        ],
    )
    def test_files_that_are_no_npz(
        self, mtvm: Line, net: Path, inputs: Path, tmp_path: Path, name: str, words: str
    ) -> None:
        (tmp_path / "empty.npz").write_bytes(b"")
        (tmp_path / "text.npz").write_text("0 1 2\n")
        (tmp_path / "cut.npz").write_bytes(inputs.read_bytes()[:500])
        np.save(tmp_path / "array.npy", images(2))
        self.refused(mtvm, words, net, "--calibrate", tmp_path / name, "-o", tmp_path / "net.tar")
        assert not (tmp_path / "net.tar").exists() and not (tmp_path / "net_int8.onnx").exists()

    def test_models_that_are_not_quantized(self, mtvm: Line, inputs: Path, tmp_path: Path) -> None:
        int8, lite = tmp_path / "digits.onnx", tmp_path / "m.tflite"
        shutil.copy(DIGITS / "digits_int8.onnx", int8)
        words = "is quantized already: it has the operator DequantizeLinear."
        self.refused(mtvm, words, int8, "--calibrate", inputs)
        self.refused(mtvm, words, int8, "--calibrate", "nosuch.npz")
        lite.write_bytes(b"\0\0\0\0TFL3")
        words = f"quantizes only ONNX files: expected the suffix .onnx, got {lite}."
        self.refused(mtvm, words, lite, "--calibrate", inputs)
        np.savez(tmp_path / "ab.npz", a=np.ones((2, 3), "f4"), b=np.ones((2, 3), "f4"))
        words = "has no operator that onnxruntime quantizes."
        compared = onnx_nets.compared(tmp_path / "compared.onnx")
        self.refused(mtvm, words, compared, "--calibrate", tmp_path / "ab.npz")

    def test_files_that_would_be_overwritten(self, mtvm: Line, inputs: Path, tmp_path: Path) -> None:
        model, before = onnx_nets.classifier(tmp_path / "net_int8.onnx"), inputs.read_bytes()
        words = f"--calibrate would overwrite {model}."
        self.refused(mtvm, words, model, "--calibrate", inputs, "-o", tmp_path / "net.tar")
        self.refused(mtvm, f"would overwrite {inputs}.", model, "--calibrate", inputs, "-o", inputs)
        assert inputs.read_bytes() == before

    @staticmethod
    def refused(mtvm: Line, words: str, *arguments: object) -> None:
        """Check that a compilation fails with one error message, and prints nothing else."""
        said = mtvm("compile", *arguments, status=1)
        lines = said.splitlines()
        assert words in said and lines[0].startswith("error: ") and lines[-1].startswith("next: "), said


class TestOtherCommands:
    def test_run(self, mtvm: Line, net: Path, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", images(1))
        document = mtvm.json("run", net, "-i", tmp_path / "x.npy", "--output", tmp_path / "y.npz")
        expected = onnx_nets.answers(net, {"x": images(1)})["y"]
        np.testing.assert_allclose(document["outputs"][0]["values"], expected, rtol=1e-4, atol=1e-5)
        assert document["outputs"][0]["name"] == "y"
        assert np.load(tmp_path / "y.npz")["output_0"].shape == (1, 5)

    def test_build_flash_size_and_bench(self, mtvm: Line, net: Path) -> None:
        assert "firmware   " in mtvm("build", net)
        assert "Nothing to flash" in mtvm("flash", net)
        assert mtvm.json("size", net)["used"]["workspace"]["most_bytes"] > 0
        assert mtvm.json("bench", net, "--number", "2")["number"] == 2

    def test_monitor(self, mtvm: Line, net: Path) -> None:
        mtvm("monitor", net, "--seconds", "0.1")

    def test_named_settings(self, mtvm: Line, net: Path) -> None:
        settings = mtvm.platform / "mtvm.toml"
        before = settings.read_text()
        settings.write_text(before + '\n[env.small]\nboard = "host"\noptimization = "Os"\n')
        try:
            built = mtvm.json("run", net, "--env", "small")
        finally:
            settings.write_text(before)
        assert '"OPTIMIZATION": "-Os"' in (Path(built["project"]) / "project.json").read_text()

    def test_no_verify_is_for_model_files(self, mtvm: Line, archive: Path) -> None:
        assert "--input-shape and --no-verify do not apply." in mtvm("run", archive, "--no-verify", status=1)
        assert "do not apply." in mtvm("inspect", archive, "--input-shape", "x=1", status=1)

    def test_help_names_the_model(self, mtvm: Line) -> None:
        for command in ("run", "build", "flash", "bench", "size", "monitor", "verify", "check", "serve"):
            said = mtvm(command, "--help")
            assert "[MODEL]" in said and "--input-shape" in said and "--no-verify" in said

    def test_check(self, mtvm: Line, net: Path, archive: Path) -> None:
        assert "answers: agree with onnxruntime on" in mtvm("check", net)
        assert "answers: the model ran on the device" in mtvm("check", archive)

    @pytest.mark.parametrize("command", [("check",), ("serve", "--tracker", "127.0.0.1:9", "--key", "lab")])
    def test_check_and_serve_name_what_is_wrong(
        self, mtvm: Line, archive: Path, tmp_path: Path, command: Sequence[str]
    ) -> None:
        assert "There is no file nosuch.onnx." in mtvm(*command, "nosuch.onnx", status=1)
        assert "the command line has no MODEL" in mtvm(*command, "--no-verify", status=1)
        (tmp_path / "damaged.onnx").write_bytes(b"no model")
        said = mtvm(*command, tmp_path / "damaged.onnx", status=1)
        assert "damaged.onnx" in said and "next:" in said

    def test_files_are_completed(self, mtvm: Line, monkeypatch: pytest.MonkeyPatch) -> None:
        from click.shell_completion import ShellComplete

        shell = ShellComplete(command_line, {"obj": str(mtvm.platform)}, "mtvm", "_X")
        for before in (["verify", "--inputs"], ["verify", "--outputs"], ["inspect"], ["compile", "-o"]):
            assert [item.type for item in shell.get_completions(before, "m")] == ["file"], before
        (item,) = shell.get_completions(["compile", "--board"], "ho")
        assert item.value == "host"


class TestVerify:
    def test_against_the_reference(self, mtvm: Line, net: Path) -> None:
        said = mtvm("verify", net)
        assert "host agrees with onnxruntime on 5 sets of inputs." in said
        document = mtvm.json("verify", net)
        (output,) = document["outputs"]
        assert document["ok"] and output["wrong"] == 0 and output["same_first"] == 5
        assert (output["dtype"], output["shape"], output["elements"]) == ("float32", [1, 5], 25)

    def test_own_inputs(self, mtvm: Line, net: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "one.npz", x=images(1))
        np.savez(tmp_path / "in_place.npz", x=images(3))
        np.savez(tmp_path / "in_front.npz", input_x=images(3)[:, None])
        for name, count in (("one", 1), ("in_place", 3), ("in_front", 3)):
            found = mtvm.json("verify", net, "--inputs", tmp_path / f"{name}.npz")
            assert (found["sets_of_inputs"], found["outputs"][0]["same_first"]) == (count, count)

    def test_own_outputs_for_an_archive(self, mtvm: Line, net: Path, archive: Path, tmp_path: Path) -> None:
        inputs, outputs = tmp_path / "in.npz", tmp_path / "out.npz"
        np.savez(inputs, x=images(4))
        right = np.concatenate([onnx_nets.answers(net, {"x": one[None]})["y"] for one in images(4)])
        files = ("--inputs", inputs, "--outputs", outputs)
        np.savez(outputs, output_0=right)
        assert f"host agrees with {outputs} on 4 sets of inputs." in mtvm("verify", archive, *files)
        wrong = right.copy()
        wrong[2, 3] += 1
        np.savez(outputs, y=wrong)
        said = mtvm("verify", archive, *files, status=1)
        assert "1 of 20" in said and "FAILED y: 1 of 20 elements differ from" in said and "next:" in said
        document = mtvm.json("verify", archive, *files, status=1)
        assert not document["ok"] and "error" not in document
        assert document["outputs"][0]["wrong"] == 1
        assert mtvm.json("verify", archive, *files, "--tolerance", "10")["ok"]
        wrong[0] = np.nan
        np.savez(outputs, y=wrong)
        assert mtvm.json("verify", archive, *files, status=1)["outputs"][0]["largest_error"] == "Infinity"
        assert not mtvm.json("verify", net, "--tolerance", "0", *files, status=1)["ok"]

    @pytest.mark.parametrize(
        ("inputs", "words"),
        [
            ({"z": images(1)}, "the model has no input 'z'."),
            ({}, "does not hold input 'x' of the model."),
            ({"x": images(1), "input_x": images(1)}, "holds input 'x' under two names."),
            ({"x": images(1).astype("float64")}, "expected float32 [1, 1, 6, 6]"),
            ({"x": images(2)[:, 0, 0]}, "got float32 [2, 6]"),
            ({"x": images(2)[:0]}, "got float32 [0, 1, 6, 6]"),
        ],
    )
    def test_inputs_that_do_not_fit(
        self, mtvm: Line, net: Path, tmp_path: Path, inputs: Dict[str, Any], words: str
    ) -> None:
        np.savez(tmp_path / "in.npz", **inputs)
        assert words in mtvm("verify", net, "--inputs", tmp_path / "in.npz", status=1)

    def test_outputs_that_do_not_fit(self, mtvm: Line, net: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "in.npz", x=images(2))
        cases: List[Any] = [
            ({"z": np.zeros((2, 5), "float32")}, "the model has no output 'z'."),
            ({"y": np.zeros((3, 5), "float32")}, "holds 2 sets of inputs, and"),
            ({"y": np.zeros((2, 5), "float32"), "output_0": np.zeros((2, 5), "float32")}, "under two names"),
        ]
        for outputs, words in cases:
            np.savez(tmp_path / "out.npz", **outputs)
            files = ("--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
            assert words in mtvm("verify", net, *files, status=1)

    def test_two_inputs_and_outputs(self, mtvm: Line, tmp_path: Path) -> None:
        two = onnx_nets.two_of_each(tmp_path / "two.onnx")
        random = np.random.default_rng(1)
        given = {name: random.random((2, 2, 3), "float32") for name in "ab"}
        np.savez(tmp_path / "in.npz", **given)  # type: ignore[arg-type]
        document = mtvm.json("verify", two, "--inputs", tmp_path / "in.npz")
        assert [output["name"] for output in document["outputs"]] == ["sum", "large"]
        assert document["ok"] and document["sets_of_inputs"] == 2
        np.savez(tmp_path / "in.npz", a=given["a"], b=given["b"][0])
        assert "1 and 2 sets of inputs." in mtvm("verify", two, "--inputs", tmp_path / "in.npz", status=1)

    def test_an_archive_of_older_tvm(self, mtvm: Line) -> None:
        case = ARCHIVES / "graph_c_many.npz"
        files = ("--inputs", case, "--outputs", case)
        document = mtvm.json("verify", ARCHIVES / "graph_c_many.tar", *files)
        assert document["ok"] and len(document["outputs"]) == 4

    def test_what_cannot_be_compared(self, mtvm: Line, net: Path, archive: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "in.npz", x=images(1))
        before = sorted(mtvm.platform.glob("projects/*"))
        assert "has no reference" in mtvm("verify", archive, status=1)
        assert "has no reference" in mtvm("verify", archive, "--inputs", tmp_path / "in.npz", status=1)
        lonely = ("--outputs", tmp_path / "in.npz")
        assert "--inputs" in mtvm("verify", net, *lonely, status=1)
        assert "cannot be read" in mtvm("verify", net, "--inputs", "nosuch.npz", status=1)
        for tolerance in ("-1", "nan", "inf", "x"):
            mtvm("verify", net, "--tolerance", tolerance, status=2)
        assert sorted(mtvm.platform.glob("projects/*")) == before
        standalone = ("-o", "project_type=standalone")
        assert "it cannot be verified" in mtvm("verify", net, *standalone, status=1)

    def test_in_a_project(self, mtvm: Line, net: Path, tmp_path: Path) -> None:
        project = tmp_path / "project"
        mtvm("build", net, "--project-dir", project)
        here = Line(project)
        np.savez(tmp_path / "in.npz", x=images(1))
        np.savez(tmp_path / "out.npz", **onnx_nets.answers(net, {"x": images(1)}))
        files = ("--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
        assert here.json("verify", *files)["ok"]
        assert "has no reference" in here("verify", status=1)
        assert "has its model" in here("verify", net, status=1)
        assert here.json("inspect")["macs"] == 672


class TestInspect:
    def test_a_model_file(self, mtvm: Line, net: Path) -> None:
        said = mtvm("inspect", net)
        for words in ("input        x: float32 1x1x6x6, 144 bytes", "Conv conv: ", "MACs         672"):
            assert words in said
        assert "All operators are supported." in said
        document = mtvm.json("inspect", net)
        assert [operator["operator"] for operator in document["operators"]] == [
            *("Conv", "Relu", "Flatten", "Gemm")
        ]
        conv = document["operators"][0]
        assert (conv["macs"], conv["parameters"], conv["memory_bytes"]) == (432, 30, 144 + 192)
        assert document["peak_memory_bytes"] == 384 and document["not_supported"] == []
        assert document["kernels"] and all(kernel["outputs"] for kernel in document["kernels"])
        most = max(kernel["arena_bytes"] for kernel in document["kernels"])
        assert most == document["arena_bound_bytes"] <= document["arena_bytes"]

    def test_its_archive_has_the_same(self, mtvm: Line, net: Path, archive: Path) -> None:
        one, other = mtvm.json("inspect", net), mtvm.json("inspect", archive)
        for name in ("inputs", "outputs", "operators", "kernels", "arena_bytes", "constant_bytes"):
            assert one[name] == other[name]
        assert (one["kind"], other["kind"]) == ("onnx", "archive")

    def test_what_is_not_supported(self, mtvm: Line, tmp_path: Path) -> None:
        model = onnx_nets.not_supported(tmp_path / "half.onnx")
        said = mtvm("inspect", model)
        assert "not supported: The input 'x' has type float16" in said and "\nnext: Convert" in said
        document = mtvm.json("inspect", model)
        assert document["kernels"] == [] and len(document["not_supported"]) == 1
        assert document["inputs"] == [{"name": "x", "dtype": "float16", "shape": [4], "bytes": None}]

    def test_every_refused_operator_is_named(self, mtvm: Line, tmp_path: Path) -> None:
        found = mtvm.json("inspect", onnx_nets.two_refused(tmp_path / "refused.onnx"))
        problems = " ".join(error["problem"] for error in found["not_supported"])
        assert len(found["not_supported"]) == 2 and "TopK" in problems and "RandomNormalLike" in problems
        assert [operator["operator"] for operator in found["operators"]] == [
            *("RandomNormalLike", "Add", "TopK")
        ]

    @pytest.mark.parametrize("path", sorted(ARCHIVES.glob("*.tar*")), ids=lambda path: path.name)
    def test_every_archive(self, mtvm: Line, path: Path) -> None:
        if path.name == "two_modules.tar":
            assert "contains 2 modules" in mtvm("inspect", path, status=1)
            return
        mtvm("inspect", path)
        document = mtvm.json("inspect", path)
        assert document["kind"] == "archive" and document["operators"] is None
        if "operator" not in path.name:
            assert document["inputs"] and document["outputs"]
            assert document["kernels"] or "aot_llvm" in path.name
            shown = [kernel["outputs"] is not None for kernel in document["kernels"]]
            assert all(shown) == ("graph" in path.name) or not shown

    def test_the_bundled_model(self, mtvm: Line) -> None:
        assert "kernel" in mtvm("inspect", DIGITS / "digits_aot.tar")

    def test_no_model(self, mtvm: Line) -> None:
        assert "needs a model file or a model archive" in mtvm("inspect", status=1)
        assert "There is no file" in mtvm("inspect", "nosuch.onnx", status=1)


@pytest.fixture(scope="module")
def boards(bake_shared: Baker) -> Dict[str, Line]:
    """Family -> the command line of a platform of it."""
    return {name: Line(bake_shared(board_family=name).path) for name in ("cortex_m", "riscv")}


@pytest.mark.slow
class TestBoards:
    @pytest.mark.parametrize(
        ("family", "board"),
        [
            ("cortex_m", "mps2_an386"),
            ("cortex_m", "mps2_an385"),
            ("cortex_m", "microbit"),
            ("riscv", "qemu_virt_rv32"),
            ("riscv", "qemu_virt_rv64"),
        ],
    )
    def test_the_forecast_is_right(
        self, boards: Dict[str, Line], net: Path, tmp_path: Path, family: str, board: str
    ) -> None:
        line = boards[family]
        document = line.json("compile", net, "--board", board, "-o", tmp_path / "net.tar")
        flash, ram = document["memory"]
        built = line.json("size", net, "--board", board, "--no-run")["size"]
        assert flash["bytes"] == pytest.approx(built["flash_bytes"], rel=0.05)
        assert ram["bytes"] == pytest.approx(built["ram_bytes"], rel=0.02)
        assert flash["fits"] and ram["fits"] and flash["board_bytes"] == built["board_flash_bytes"]

    def test_what_does_not_fit(self, boards: Dict[str, Line], net: Path, tmp_path: Path) -> None:
        line = boards["cortex_m"]
        path = line.platform / "boards.json"
        before = path.read_text()
        table = json.loads(before)
        table["boards"]["microbit"]["memory"]["flash"]["bytes"] = 16384
        path.write_text(json.dumps(table))
        try:
            said = line("compile", net, "--board", "microbit", "-o", tmp_path / "net.tar")
        finally:
            path.write_text(before)
        assert "of 16,384 bytes of microbit, does NOT fit (model code" in said

    def test_verify_on_a_chip(self, boards: Dict[str, Line], net: Path) -> None:
        assert boards["cortex_m"].json("verify", net, "--board", "mps2_an386")["ok"]

    def test_without_the_cross_compiler(
        self, boards: Dict[str, Line], net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        said = boards["cortex_m"]("compile", net, "-o", tmp_path / "net.tar")
        assert "code         not known: arm-none-eabi-gcc is not installed" in said
        assert "apt-get install" in said and "\nRAM " in said and "\nflash " not in said


class TestProcess:
    """Commands as processes."""

    @staticmethod
    def start(
        platform: Path, cwd: Path, *arguments: str, python: List[str], **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*python, str(platform / "mtvm.py"), *arguments],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @pytest.mark.slow
    def test_from_another_directory_and_from_the_cache(
        self, mtvm: Line, net: Path, archive: Path, tmp_path: Path
    ) -> None:
        shutil.copy(net, tmp_path / "net it's.onnx")
        python = [sys.executable, "-X", "importtime"]
        arguments = ("compile", "net it's.onnx", "-o", "out here.tar")
        self.start(mtvm.platform, tmp_path, *arguments, python=[sys.executable])
        done = self.start(mtvm.platform, tmp_path, *arguments, python=python)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out here.tar").is_file()
        assert done.stdout.startswith("From the cache") and "run 'out here.tar'" in done.stdout
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "click" in imported
        assert imported & {"numpy", "onnx", "onnxruntime", "tvm", "importlib.metadata", "ml_dtypes"} == set()

    @pytest.mark.slow
    def test_without_the_packages_of_compile(
        self, mtvm: Line, net: Path, archive: Path, tmp_path: Path
    ) -> None:
        site = onnx_nets.site_without_compile(tmp_path / "site")
        python = [sys.executable, "-S"]

        def start(*arguments: str) -> subprocess.CompletedProcess[str]:
            return self.start(mtvm.platform, tmp_path, *arguments, python=python, PYTHONPATH=str(site))

        for command in ("compile", "run", "inspect", "verify"):
            done = start(command, str(net))
            assert done.returncode == 1 and "Traceback" not in done.stderr
            assert "`compile` is not installed: apache-tvm, apache-tvm-ffi, onnx, onnxruntime" in done.stderr
            assert f"-m pip install -r {mtvm.platform}/requirements-compile.txt" in done.stderr
        checked = start("check")
        assert checked.returncode == 0, checked.stdout
        assert "none   compile: `compile` is not installed" in checked.stdout
        document = json.loads(start("check", "--json").stdout)
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        assert document["ok"] and [
            step["status"] for step in document["steps"] if step["step"] == "compile"
        ] == ["not_installed"]
        assert document["machine"]["packages"]["apache-tvm"] is None
        assert start("inspect", str(archive)).returncode == 0
        assert start("run", str(archive)).returncode == 0
        np.savez(tmp_path / "in.npz", x=images(1))
        np.savez(tmp_path / "out.npz", **onnx_nets.answers(net, {"x": images(1)}))
        assert start("verify", str(archive), "--inputs", "in.npz", "--outputs", "out.npz").returncode == 0
