# SPDX-License-Identifier: Apache-2.0
"""Real models on the device: the device runs every archive, and returns the outputs that TVM returned."""

from __future__ import annotations

import json
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np
import pytest

from tests.device.building import DATA, build_firmware
from tests.device.conftest import ProcessDevice
from tests.device.wire import (
    INT,
    MODULE,
    NORMAL,
    NULL,
    SHUTDOWN,
    STR,
    TENSOR,
    TERMINATE,
    DeviceException,
    Tensor,
    frame,
    message,
    unframe,
)

Start = Callable[[str], ProcessDevice]

DTYPES = {"f": 2, "i": 0, "u": 1, "b": 1}


def expected(name: str) -> np.lib.npyio.NpzFile:
    folder = "models" if (DATA / "models" / f"{name}.npz").exists() else "archives"
    arrays: np.lib.npyio.NpzFile = np.load(DATA / folder / f"{name}.npz")
    return arrays


def numpy_dtype(tensor: Tensor) -> np.dtype:
    code, bits, _ = tensor.dtype
    return np.dtype(f"{ {0: 'i', 1: 'u', 2: 'f'}[code] }{bits // 8}") if bits >= 8 else np.dtype(bool)


def assert_equal(got: np.ndarray, want: np.ndarray) -> None:
    if want.dtype.kind == "f":
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(got, want)


def run_aot(device: ProcessDevice, name: str, module_name: str = "default") -> None:
    arrays = expected(name)
    module = device.aot(module_name)
    get_input = device.module_function(module, "get_input")
    get_output = device.module_function(module, "get_output")
    names = [key[len("input_") :] for key in arrays.files if key.startswith("input_")]
    assert device.call(device.module_function(module, "get_num_inputs"))[1] == (INT, len(names))
    for key in names:
        tensor, handle = device.tensor(get_input, (STR, key))
        assert tensor.shape == arrays[f"input_{key}"].shape
        device.copy_to(tensor, arrays[f"input_{key}"].tobytes())
        device.free(handle, 13)
    device.call(device.module_function(module, "run"))
    outputs = sorted(key for key in arrays.files if key.startswith("output_"))
    assert device.call(device.module_function(module, "get_num_outputs"))[1] == (INT, len(outputs))
    for index, key in enumerate(outputs):
        tensor, handle = device.tensor(get_output, (INT, index))
        assert tensor.shape == arrays[key].shape
        data = device.copy_from(tensor, arrays[key].nbytes)
        assert_equal(np.frombuffer(data, numpy_dtype(tensor)).reshape(tensor.shape), arrays[key])
        device.free(handle, 13)
    device.free(module, MODULE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp_f32_aot", "aot_c", "aot_c_planned", "aot_c_many", "aot_c_v6"])
def test_an_aot_model_answers_as_tvm_did(start: Start, name: str) -> None:
    run_aot(start(name), name)


@pytest.mark.slow
def test_executors_come_and_go_without_a_leak(start: Start) -> None:
    device = start("mlp_f32_aot")
    first = device.alloc((4,)).data
    for _ in range(30):
        run_aot(device, "mlp_f32_aot")
    assert device.alloc((4,)).data > first
    for nonce in (3, 7):
        device.open(nonce)
        run_aot(device, "mlp_f32_aot")
        assert device.alloc((4,)).data == first, "a new session must start with all memory free"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aot_llvm", "aot_llvm_many", "aot_llvm_planned"])
def test_llvm_objects_run_through_the_system_library(start: Start, name: str) -> None:
    device = start(name)
    arrays = expected(name)
    with pytest.raises(DeviceException, match=r"LLVM code.*___tvm_main__"):
        device.aot()
    assert device.module_function(device.system_lib(), "tvmgen_default_run") == 0
    assert device.module_function(device.system_lib(), "tvmgen_default___tvm_main__") != 0
    if name != "aot_llvm":
        return  # only the host has the order of the arguments
    (key,) = [key for key in arrays.files if key.startswith("input_")]
    tensors = []
    for array in (arrays[key], arrays["output_0"]):
        tensors.append(device.alloc(array.shape, (DTYPES[array.dtype.kind], array.dtype.itemsize * 8, 1)))
    device.copy_to(tensors[0], arrays[key].tobytes())
    main = device.module_function(device.system_lib(), "tvmgen_default___tvm_main__")
    assert device.call(main, *[(TENSOR, tensor) for tensor in tensors]) == [(INT, NULL), (NULL, None)]
    got = np.frombuffer(device.copy_from(tensors[1], arrays["output_0"].nbytes), arrays["output_0"].dtype)
    assert_equal(got.reshape(arrays["output_0"].shape), arrays["output_0"])
    with pytest.raises(DeviceException, match="Assert fail"):
        device.call(main, (TENSOR, tensors[0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["operator_c", "operator_llvm"])
def test_an_operator_runs_as_tuning_runs_it(start: Start, name: str) -> None:
    device = start(name)
    arrays = expected(name)
    keys = [key for key in sorted(arrays.files) if key.startswith("input_")]
    tensors = []
    for key in [*keys, "output_0"]:
        array = arrays[key]
        tensors.append(device.alloc(array.shape, (DTYPES[array.dtype.kind], array.dtype.itemsize * 8, 1)))
        device.copy_to(tensors[-1], array.tobytes() if key != "output_0" else bytes(array.nbytes))
    function = device.module_function(device.system_lib(), "default_function")
    device.call(function, *[(TENSOR, tensor) for tensor in tensors])
    got = np.frombuffer(device.copy_from(tensors[-1], arrays["output_0"].nbytes), arrays["output_0"].dtype)
    assert_equal(got.reshape(arrays["output_0"].shape), arrays["output_0"])


def run_graph(device: ProcessDevice, name: str) -> None:
    """Execute the graph in this process, and its kernels on the device.

    Tensors share storage as in the graph.
    """
    folder = "models" if (DATA / "models" / f"{name}.tar").exists() else "archives"
    with tarfile.open(DATA / folder / f"{name}.tar") as tar:
        member = next(m for m in tar.getnames() if m.endswith(".graph"))
        file = tar.extractfile(member)
        assert file is not None
        graph = json.load(file)
    attributes, rows = graph["attrs"], graph["node_row_ptr"]
    dtypes = [np.dtype(name) for name in attributes["dltype"][1]]
    shapes, storage = attributes["shape"][1], attributes["storage_id"][1]
    sizes: Dict[int, int] = {}
    for place, shape, dtype in zip(storage, shapes, dtypes):
        sizes[place] = max(sizes.get(place, 0), int(np.prod(shape)) * dtype.itemsize)
    pools = {place: device.alloc((size,), (0, 8, 1)).data for place, size in sizes.items()}
    tensors = [
        Tensor(
            pools[place],
            tuple(shape),
            (DTYPES[dtype.kind], 1 if dtype.kind == "b" else dtype.itemsize * 8, 1),
        )
        for place, shape, dtype in zip(storage, shapes, dtypes)
    ]
    arrays = expected(name)
    library = device.system_lib()
    for row, node in zip(rows, graph["nodes"]):
        if node["op"] == "null":
            device.copy_to(tensors[row], arrays[f"input_{node['name']}"].tobytes())
            continue
        arguments = [tensors[rows[place] + index] for place, index, _ in node["inputs"]]
        arguments += tensors[row : row + int(node["attrs"]["num_outputs"])]
        if node["attrs"]["func_name"] != "__nop":
            kernel = device.module_function(library, node["attrs"]["func_name"])
            assert device.call(kernel, *[(TENSOR, tensor) for tensor in arguments]) == [
                (INT, NULL),
                (NULL, None),
            ]
    for number, (place, index, _) in enumerate(graph["heads"]):
        want = arrays[f"output_{number}"]
        data = device.copy_from(tensors[rows[place] + index], want.nbytes)
        assert_equal(np.frombuffer(data, want.dtype).reshape(want.shape), want)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kws_i8_graph", "graph_c", "graph_c_many", "graph_llvm"])
def test_the_kernels_of_a_graph_run(start: Start, name: str) -> None:
    run_graph(start(name), name)


@pytest.mark.slow
def test_functions_are_found_in_a_table_of_tvm_0_8(start: Start) -> None:
    device = start("graph_c_v5")
    library = device.system_lib()
    assert device.module_function(library, "tvmgen_default_fused_nn_softmax") != 0
    assert device.module_function(library, "tvmgen_default_fused_nn_softma") == 0


@pytest.mark.slow
def test_the_firmware_ends_when_its_input_ends(start: Start) -> None:
    device = start("mlp_f32_aot")
    assert device.close() == 0


CHATTER = """
#include <stdio.h>
#include <stdlib.h>
static void chatter(void) { printf("chatter of user code"); }
__attribute__((constructor)) static void at_the_end(void) { atexit(chatter); }
"""


@pytest.mark.slow
def test_the_link_is_the_protocols_alone(tmp_path: Path, library: List[Path]) -> None:
    extra = tmp_path / "chatter.c"
    extra.write_text(CHATTER)
    archive = DATA / "models" / "mlp_f32_aot.tar"
    program = build_firmware(archive, tmp_path / "build", library, extra=[extra])
    done = subprocess.run([str(program)], input=b"", capture_output=True, check=True)
    assert unframe(done.stdout)[0] == [struct.pack("<HB", 0, TERMINATE)]
    assert done.stderr == b"chatter of user code"
    done = subprocess.run(["sh", "-c", f"{program} 2>&-"], input=b"", stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"\xfe" + frame(struct.pack("<HB", 0, TERMINATE))


@pytest.mark.slow
def test_shutdown_ends_the_session_and_a_new_one_follows(start: Start) -> None:
    device = start("mlp_f32_aot")
    old = device.open()
    device.exchange(frame(struct.pack("<HB", old, NORMAL) + message(SHUTDOWN)), 0)
    assert device.open(9) != old
    run_aot(device, "mlp_f32_aot")


SAMPLE = """
#include <microtvm/app.h>
static const uint8_t data[] = {%s};
const char mtvm_model_name[] = "%s";
const mtvm_sample_t mtvm_samples[] = {{"%s", data, sizeof data}};
const size_t mtvm_sample_count = 1;
const char *const mtvm_input_names[] = {"%s", NULL};
const char *const mtvm_output_names[] = {"output", NULL};
"""


@pytest.mark.slow
@pytest.mark.parametrize(("module", "key"), [("default", "input"), ("default", "other"), ("absent", "input")])
def test_the_standalone_firmware_reports(tmp_path: Path, library: List[Path], module: str, key: str) -> None:
    arrays = expected("mlp_f32_aot")
    sample = tmp_path / "model_input.c"
    sample.write_text(SAMPLE % (",".join(map(str, arrays["input_input"].tobytes())), module, key, "input"))
    program = build_firmware(
        DATA / "models" / "mlp_f32_aot.tar",
        tmp_path / "build",
        library,
        app=("standalone", "run_once", "model_packed", "model_tensor"),
        extra=[sample],
    )
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if (module, key) != ("default", "input"):
        assert done.returncode == 1 and lines[0].startswith("error: ") and lines[1] == "outcome: 1"
        assert ("absent" if module == "absent" else "expected here input") in lines[0]
        return
    assert done.returncode == 0 and lines[-1] == "outcome: 0"
    head, values = lines[0].split(": ")
    assert head == "output output float32 10"
    np.testing.assert_allclose([float(v) for v in values.split()], arrays["output_0"][0], rtol=1e-6)
    assert int(lines[1].split()[1]) < 1_000_000


MODEL_IO = """
#include <microtvm/app.h>
#include <tvmgen_default.h>
static float in[%d] __attribute__((aligned(16)));
static float out[%d] __attribute__((aligned(16)));
int mtvm_model_open(void) { return 0; }
static bool describe(size_t index, mtvm_model_tensor_t *tensor, void *data, size_t nbytes) {
  const mtvm_model_tensor_t known = {{kDLFloat, 32, 1}, nbytes, data};
  *tensor = known;
  return index == 0;
}
bool mtvm_model_input(size_t index, mtvm_model_tensor_t *tensor) {
  return describe(index, tensor, in, sizeof in);
}
bool mtvm_model_output(size_t index, mtvm_model_tensor_t *tensor) {
  return describe(index, tensor, out, sizeof out);
}
int mtvm_model_run(void) {
  struct tvmgen_default_inputs inputs = {in};
  struct tvmgen_default_outputs outputs = {out};
  return tvmgen_default_run(&inputs, &outputs);
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aot_c_interface", "aot_c_interface_planned"])
def test_the_standalone_firmware_runs_the_c_interface(tmp_path: Path, library: List[Path], name: str) -> None:
    arrays = expected(name)
    (key,) = [key for key in arrays.files if key.startswith("input_")]
    sample, model_io = tmp_path / "model_input.c", tmp_path / "model_io.c"
    data = ",".join(map(str, arrays[key].tobytes()))
    sample.write_text(SAMPLE % (data, "default", key[len("input_") :], key[len("input_") :]))
    model_io.write_text(MODEL_IO % (arrays[key].size, arrays["output_0"].size))
    program = build_firmware(
        DATA / "archives" / f"{name}.tar",
        tmp_path / "build",
        library,
        app=("standalone", "run_once"),
        extra=[sample, model_io],
    )
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    values = done.stdout.splitlines()[0].split(": ")[1].split()
    np.testing.assert_allclose([float(v) for v in values], arrays["output_0"].ravel(), rtol=1e-5, atol=1e-6)
