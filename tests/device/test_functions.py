# SPDX-License-Identifier: Apache-2.0
"""The functions of the device runtime: AOT executor, time evaluators, random numbers."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from tests.device.conftest import MemoryDevice
from tests.device.wire import (
    BYTES,
    DEVICE,
    FUNCTION,
    HANDLE,
    INT,
    MODULE,
    NDARRAY,
    NULL,
    STR,
    TENSOR,
    DeviceException,
    Tensor,
)


def member(device: MemoryDevice, module: int, name: str) -> int:
    handle = device.module_function(module, name)
    assert handle != 0
    return handle


# The AOT executor


def test_an_executor_describes_and_runs_its_model(device: MemoryDevice) -> None:
    module = device.aot("scale")
    assert device.call(member(device, module, "get_num_inputs"))[1] == (INT, 2)
    assert device.call(member(device, module, "get_num_outputs"))[1] == (INT, 2)
    assert device.call(member(device, module, "get_input_name"), (INT, 1))[1] == (STR, "factor")
    get_index = member(device, module, "get_input_index")
    assert [device.call(get_index, (STR, name))[1][1] for name in ("data", "factor", "none")] == [0, 1, -1]
    data, _ = device.tensor(member(device, module, "get_input"), (INT, 0))
    factor, _ = device.tensor(member(device, module, "get_input"), (STR, "factor"))
    assert (data.shape, data.dtype, factor.shape) == ((2, 3), (2, 32, 1), ())
    assert device.copy_from(data, 24) == bytes(24)
    device.copy_to(data, struct.pack("<6f", *range(6)))
    device.copy_to(factor, struct.pack("<f", 2))
    assert device.call(member(device, module, "run")) == [(INT, NULL), (NULL, None)]
    scaled, _ = device.tensor(member(device, module, "get_output"), (INT, 0))
    count, _ = device.tensor(member(device, module, "get_output"), (INT, 1))
    assert struct.unpack("<6f", device.copy_from(scaled, 24)) == (0, 2, 4, 6, 8, 10)
    assert device.copy_from(count, 1) == b"\x06"


def test_an_input_has_the_name_of_the_trained_model_and_that_of_the_code(device: MemoryDevice) -> None:
    module = device.aot("scale")
    assert device.call(member(device, module, "get_input_name"), (INT, 0))[1] == (STR, "data:0")
    get_input = member(device, module, "get_input")
    by_number, by_name, by_c_name = (
        device.tensor(get_input, argument)[0] for argument in ((INT, 0), (STR, "data:0"), (STR, "data"))
    )
    assert by_number == by_name == by_c_name


def test_inputs_are_set_from_tensors_of_the_device(device: MemoryDevice) -> None:
    module = device.aot("scale")
    set_input = member(device, module, "set_input")
    tensor = device.alloc((6,))
    device.copy_to(tensor, struct.pack("<6f", *range(6)))
    device.call(set_input, (STR, "data"), (TENSOR, tensor))
    data, _ = device.tensor(member(device, module, "get_input"), (INT, 0))
    assert struct.unpack("<6f", device.copy_from(data, 24)) == tuple(range(6))
    with pytest.raises(DeviceException, match="input bytes: expected 4, got 24"):
        device.call(set_input, (INT, 1), (TENSOR, tensor))


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("get_input", [(INT, 2)], "no tensor 0x2"),
        ("get_input", [(INT, -1)], "no tensor"),
        ("get_input", [(INT, 2**62)], "no tensor"),
        ("get_input", [(STR, "absent")], "no unique tensor absent among: data:0 factor"),
        ("get_input", [], "arguments: expected 1, got 0"),
        ("get_input", [(NULL, None)], "argument type code: expected 11, got 4"),
        ("get_output", [(INT, 2)], "no tensor 0x2"),
        ("get_input_name", [(INT, 9)], "no tensor 0x9"),
        ("get_input_index", [(INT, 0)], "argument type code: expected 11, got 0"),
        ("set_input", [(INT, 0)], "arguments: expected 2, got 1"),
    ],
)
def test_wrong_arguments_of_an_executor(
    device: MemoryDevice, name: str, arguments: List[Tuple[int, Any]], text: str
) -> None:
    with pytest.raises(DeviceException, match=text):
        device.call(member(device, device.aot("scale"), name), *arguments)


# Calls whose arguments are stored on the device


def stored(device: MemoryDevice, *tensors: Tensor) -> Tensor:
    """Return a block of the device's memory that contains the tensors in the format of the wire."""
    data = b"".join(tensor.encode() for tensor in tensors)
    block = device.alloc((len(data),), (1, 8, 1))
    device.copy_to(block, data)
    return block


def test_a_stored_call_is_the_call(device: MemoryDevice) -> None:
    function = device.function("mtvm.call_stored")
    data, factor = device.alloc((2, 3)), device.alloc(())
    scaled, count = device.alloc((2, 3)), device.alloc((1,), (0, 8, 1))
    device.copy_to(data, struct.pack("<6f", *range(6)))
    device.copy_to(factor, struct.pack("<f", 2))
    kernel = device.module_function(device.system_lib(), "tvmgen_scale_run")
    block = stored(device, data, factor, scaled, count)
    for _ in range(3):
        assert device.call(function, (FUNCTION, kernel), (TENSOR, block), (INT, 4)) == [
            (INT, NULL),
            (NULL, None),
        ]
    assert struct.unpack("<6f", device.copy_from(scaled, 24)) == (0, 2, 4, 6, 8, 10)


@pytest.mark.parametrize(
    ("count", "shift", "text"),
    [
        (-1, 0, "invalid tensor block"),
        (2**62, 0, "invalid tensor block"),
        (5, 0, "invalid tensor block"),
        (1, 0, "bytes after the last operand"),
        (2, 4, "invalid tensor block"),
        (3, 0, "message ends before its last operand"),
    ],
    ids=["negative", "huge", "too-many", "too-few", "not-aligned", "cut"],
)
def test_stored_arguments_that_are_none(device: MemoryDevice, count: int, shift: int, text: str) -> None:
    function = device.function("mtvm.call_stored")
    kernel = device.module_function(device.system_lib(), "tvmgen_scale_run")
    block = stored(device, device.alloc((2, 3)), device.alloc((2, 3)))
    block = replace(block, shape=(block.shape[0] - shift,), byte_offset=shift)
    with pytest.raises(DeviceException, match=text):
        device.call(function, (FUNCTION, kernel), (TENSOR, block), (INT, count))
    assert device.alloc((1,)).data, "the session continues"


def test_stored_arguments_lie_in_memory_of_the_host(device: MemoryDevice) -> None:
    function = device.function("mtvm.call_stored")
    kernel = device.module_function(device.system_lib(), "tvmgen_scale_run")
    outside = replace(device.alloc((2, 3)), data=64)
    with pytest.raises(DeviceException, match="no allocation holds the tensor"):
        device.call(function, (FUNCTION, kernel), (TENSOR, stored(device, outside)), (INT, 1))


def test_a_stored_call_does_not_call_itself(device: MemoryDevice) -> None:
    function = device.function("mtvm.call_stored")
    block = stored(device, device.alloc((2, 3)))
    with pytest.raises(DeviceException, match="arguments: expected 3, got 1"):
        device.call(function, (FUNCTION, function), (TENSOR, block), (INT, 1))


def test_functions_an_executor_does_not_have(device: MemoryDevice) -> None:
    for name in ("share_params", "load_params", "get_input_info", "", "tvmgen_scale_run"):
        assert device.module_function(device.aot("scale"), name) == 0
        device.open()


def test_modules_that_are_not_there(device: MemoryDevice) -> None:
    with pytest.raises(DeviceException, match="no AOT module default"):
        device.aot("default")
    with pytest.raises(DeviceException, match=r"module llvm has no metadata .*___tvm_main__"):
        device.aot("llvm")
    create = device.function("tvm.aot_executor.create")
    with pytest.raises(DeviceException, match="argument type code: expected 9, got 0"):
        device.call(create, (INT, 1), (STR, "x"), (INT, 1))
    with pytest.raises(DeviceException, match="arguments: expected 3, got 2"):
        device.call(create, (INT, 1), (STR, "x"))


def test_executors_are_freed_with_their_last_handle(device: MemoryDevice) -> None:
    free_address = device.alloc((1,)).data
    device.open()
    for _ in range(100):
        module = device.aot("scale")
        tensor, handle = device.tensor(member(device, module, "get_input"), (INT, 0))
        again, same = device.tensor(member(device, module, "get_input"), (INT, 0))
        assert (again, same) == (tensor, handle)
        device.free(module, MODULE)
        assert device.copy_from(tensor, 24), "the host still has a handle of the tensor"
        device.free(handle, NDARRAY)
        device.free(handle, NDARRAY)
        with pytest.raises(DeviceException, match="handle already freed"):
            device.free(handle, NDARRAY)
    assert device.alloc((1,)).data == free_address


def test_a_module_is_gone_when_it_was_freed(device: MemoryDevice) -> None:
    module = device.aot("scale")
    run = member(device, module, "run")
    device.free(module, MODULE)
    with pytest.raises(DeviceException, match="handle already freed"):
        device.call(run)
    with pytest.raises(DeviceException, match="handle already freed"):
        device.module_function(module, "run")
    with pytest.raises(DeviceException, match="handle already freed"):
        device.free(module, MODULE)
    device.free(run, FUNCTION)
    other = device.aot("scale")
    assert other != module
    with pytest.raises(DeviceException, match="handle already freed"):
        device.call(run)


def test_executors_are_limited_by_number_and_by_memory(device: MemoryDevice) -> None:
    modules = [device.aot("scale") for _ in range(8)]
    with pytest.raises(DeviceException, match="executors and time evaluators: expected at most 8, got 9"):
        device.aot("scale")
    device.free(modules[3], MODULE)
    device.aot("scale")
    for workspace in range(256, 1300, 64):
        device.reset(workspace=workspace)
        device.open()
        first = device.alloc((1,)).data
        device.open()
        try:
            device.aot("scale")
            assert workspace > 700
        except DeviceException as error:
            assert "out of workspace memory" in str(error)
            assert device.alloc((1,)).data == first, "what was allocated before the failure is free again"


def test_a_host_that_never_frees_its_tensors_goes_on(device: MemoryDevice) -> None:
    module = device.aot("scale")
    get = member(device, module, "get_output")
    library = device.library
    for _ in range(70000):
        library.mtvm_objects_hold(2)
    tensor, handle = device.tensor(get, (INT, 0))
    device.free(handle, NDARRAY)
    device.free(module, MODULE)
    assert device.copy_from(tensor, 24)
    device.open()
    with pytest.raises(DeviceException):
        device.copy_from(tensor, 24)


# Time evaluators


def evaluator(device: MemoryDevice, function: str, *numbers: int, tail: str = "new") -> int:
    """Create a time evaluator, and return its handle.

    Args:
        device: Device with an open session.
        function: Name of a function in the system library.
        numbers: number, repeat, min_repeat_ms and, for newer hosts, limit_zero_time_iterations.
        tail: Version of the remaining arguments: "old", "0.10" or "new".
    """
    arguments: List[Tuple[int, Any]] = [(MODULE, device.system_lib()), (STR, function), (INT, 1), (INT, 0)]
    arguments += [(INT, number) for number in numbers]
    tails: Dict[str, List[Tuple[int, Any]]] = {
        "old": [(STR, "")],
        "0.10": [(INT, 0), (INT, 1), (STR, "")],
        "new": [(INT, 0), (INT, 1), (INT, 0), (STR, "")],
    }
    arguments += tails[tail]
    kind, (code, handle) = device.call(device.function("runtime.RPCTimeEvaluator"), *arguments)
    assert (kind, code) == ((INT, FUNCTION), HANDLE)
    return int(handle)


def seconds(device: MemoryDevice, handle: int, *arguments: Tuple[int, Any]) -> List[float]:
    kind, (code, data) = device.call(handle, *arguments)
    assert (kind, code) == ((INT, BYTES), BYTES)
    return list(np.frombuffer(data, np.float64))


@pytest.mark.parametrize(
    ("numbers", "tail"), [((2, 3, 0), "old"), ((2, 3, 0, 100), "0.10"), ((2, 3, 0, 100), "new")]
)
def test_all_lengths_of_the_argument_list(device: MemoryDevice, numbers: Tuple[int, ...], tail: str) -> None:
    device.set_timer(0.5)
    handle = evaluator(device, "number_of_arguments", *numbers, tail=tail)
    assert seconds(device, handle) == [0.25] * 3
    device.free(handle, FUNCTION)
    with pytest.raises(DeviceException, match="handle already freed"):
        device.call(handle)


def test_the_measured_function_gets_the_arguments(device: MemoryDevice) -> None:
    one, two = device.alloc((2,)), device.alloc((2,))
    device.copy_to(one, struct.pack("<2f", 1, 2))
    assert len(seconds(device, evaluator(device, "add_one", 1, 2, 0), (TENSOR, one), (TENSOR, two))) == 2
    assert struct.unpack("<2f", device.copy_from(two, 8)) == (2, 3)
    with pytest.raises(DeviceException, match="the shape is wrong"):
        device.call(evaluator(device, "fails_and_says_why", 1, 1, 0))


def test_the_number_of_runs_grows_until_the_time_is_reached(device: MemoryDevice) -> None:
    one = device.alloc((100,))
    measured = seconds(device, evaluator(device, "add_one", 1, 2, 3, 100), (TENSOR, one), (TENSOR, one))
    assert len(measured) == 2 and all(0 < value < 1e-3 for value in measured)


def test_a_timer_that_reads_zero_is_given_up(device: MemoryDevice) -> None:
    device.set_timer(0.0)
    assert seconds(device, evaluator(device, "number_of_arguments", 1, 2, 10, 5)) == [0, 0]
    assert seconds(device, evaluator(device, "number_of_arguments", 1, 1, 10, 0)) == [0]


def test_a_timer_that_fails_is_told(device: MemoryDevice) -> None:
    device.set_timer(1.0, error=0x8006)
    with pytest.raises(DeviceException, match="timer result: expected 0, got 32774"):
        device.call(evaluator(device, "number_of_arguments", 1, 1, 0))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1, 249, 0), "time evaluator argument: expected at most 248, got 249"),
        ((1, -1, 0), "time evaluator argument: expected at most 248, got -1"),
        ((2**31, 1, 0), "time evaluator argument: expected at most 1000000000, got 2147483648"),
        ((1, 1, -5), "time evaluator argument: expected at most 2147483647, got -5"),
        ((1, 1, 0, -1), "time evaluator argument: expected at most 2147483647, got -1"),
    ],
)
def test_numbers_out_of_range(device: MemoryDevice, numbers: Tuple[int, ...], text: str) -> None:
    first = device.alloc((1,)).data
    device.open()
    with pytest.raises(DeviceException, match=text):
        evaluator(device, "number_of_arguments", *numbers)
    assert device.alloc((1,)).data == first


def test_results_that_do_not_fit_beside_the_arguments(device: MemoryDevice) -> None:
    device.set_timer(1.0)
    handle = evaluator(device, "number_of_arguments", 1, 240, 0)
    assert seconds(device, handle) == [1.0] * 240
    with pytest.raises(DeviceException, match="packet buffer bytes for the call"):
        device.call(handle, (STR, "x" * 1500))


def test_a_function_that_is_not_there_is_not_measured(device: MemoryDevice) -> None:
    with pytest.raises(DeviceException, match="no function absent to measure"):
        evaluator(device, "absent", 1, 1, 0)


def test_global_functions_and_executors_are_measured(device: MemoryDevice) -> None:
    create = device.function("runtime.RPCTimeEvaluator")
    tail = [(INT, 1), (INT, 0), (INT, 1), (INT, 1), (INT, 0), (STR, "")]
    _, (_, handle) = device.call(create, (NULL, None), (STR, "runtime.SystemLib"), *tail)
    assert len(seconds(device, handle)) == 1
    module = device.aot("scale")
    _, (_, handle) = device.call(create, (MODULE, module), (STR, "run"), *tail)
    assert len(seconds(device, handle)) == 1
    device.free(module, MODULE)
    with pytest.raises(DeviceException, match="handle already freed"):
        device.call(handle)


def test_what_measured_functions_return_is_given_back(device: MemoryDevice) -> None:
    device.set_timer(1.0)
    free_address = device.alloc((1,)).data
    device.open()
    evaluate = device.function("runtime.RPCTimeEvaluator")
    tail: List[Tuple[int, Any]] = [(INT, 1), (INT, 0), (INT, 5), (INT, 3), (INT, 0), (STR, "")]
    library, module = device.system_lib(), device.aot("scale")
    timed: List[Tuple[Tuple[int, Any], str, List[Tuple[int, Any]]]] = [
        ((MODULE, module), "get_output", [(INT, 0)]),
        ((NULL, None), "runtime.SystemLib", []),
        ((NULL, None), "tvm.aot_executor.create", [(MODULE, library), (DEVICE, (1, 0)), (STR, "scale")]),
        ((NULL, None), "runtime.RPCTimeEvaluator", [(MODULE, library), (STR, "sum"), *tail]),
    ]
    for owner, name, arguments in timed:
        _, (_, handle) = device.call(evaluate, owner, (STR, name), *tail)
        assert seconds(device, handle, *arguments) == [0.2] * 3
        device.free(handle, FUNCTION)
    device.free(module, MODULE)
    assert device.alloc((1,)).data == free_address


# Random numbers


@pytest.mark.parametrize(
    ("dtype", "name"),
    [((2, 16, 1), "float16"), ((2, 32, 1), "float32"), ((2, 64, 1), "float64"), ((0, 8, 1), "int8"),
     ((1, 8, 1), "uint8"), ((0, 16, 1), "int16"), ((0, 32, 1), "int32"), ((0, 64, 1), "int64"),
     ((1, 1, 1), "bool"), ((4, 16, 1), "bfloat16"), ((2, 32, 4), "float32x4")],
)  # fmt: skip
def test_random_numbers_of_every_type(device: MemoryDevice, dtype: Tuple[int, int, int], name: str) -> None:
    tensor = device.alloc((10, 10), dtype)
    nbytes = 100 * ((dtype[1] * dtype[2] + 7) // 8)
    device.copy_to(tensor, bytes([0xAA]) * nbytes)
    device.call(device.function("tvm.contrib.random.random_fill"), (TENSOR, tensor))
    data = device.copy_from(tensor, nbytes)
    if name == "bfloat16":
        values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, name.split("x4", maxsplit=1)[0])
    low, high = (1, 2) if dtype[0] in (2, 4) else (0, 128)
    assert ((values >= low) & (values < high)).all()
    assert len(set(values.tolist())) >= (2 if name == "bool" else 20)


def test_random_numbers_of_no_known_type(device: MemoryDevice) -> None:
    fill = device.function("tvm.contrib.random.random_fill")
    with pytest.raises(DeviceException, match="unknown data type, code and bits 0x208"):
        device.call(fill, (TENSOR, device.alloc((4,), (2, 8, 1))))
    with pytest.raises(DeviceException, match="argument type code: expected 7, got 6"):
        device.call(fill, (DEVICE, (1, 0)))
