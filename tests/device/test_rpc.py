# SPDX-License-Identifier: Apache-2.0
"""Requests: the replies of the device to valid and to invalid requests."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import replace
from typing import Any, List, Tuple

import pytest

from tests.device.conftest import MemoryDevice
from tests.device.wire import (
    ALLOC,
    ALLOC_SCOPE,
    BOOL,
    BYTES,
    CALL,
    COPY_AMONG,
    COPY_FROM,
    COPY_TO,
    CREATE_STREAM,
    DEVICE,
    DTYPE,
    FLOAT,
    FREE_DATA,
    FREE_STREAM,
    FUNCTION,
    GET_ATTR,
    GET_GLOBAL,
    HANDLE,
    INIT_SERVER,
    INT,
    MODULE,
    NDARRAY,
    NULL,
    SET_DEVICE,
    SET_STREAM,
    STR,
    SYNC,
    TENSOR,
    DeviceException,
    Tensor,
    encode_values,
    message,
)

CPU = (DEVICE, (1, 0))
VOID = [(INT, NULL), (NULL, None)]


def kernel(device: MemoryDevice, name: str) -> int:
    return device.module_function(device.system_lib(), name)


def sequence(*values: Tuple[int, Any]) -> bytes:
    return encode_values(list(values))


# Valid requests


def test_the_version_of_the_protocol(device: MemoryDevice) -> None:
    def hello(version: bytes, *arguments: Tuple[int, Any]) -> bytes:
        return struct.pack("<Q", len(version)) + version + sequence(*arguments)

    assert device.returned(INIT_SERVER, hello(b"0.8.0")) == [(NULL, None)]
    for other in (b"0.7.0", b"0.8.0.dev", b"", b"0.8.0\0"):
        with pytest.raises(
            DeviceException, match=r"RPC protocol: expected 0\.8\.0, got " + other.decode().strip("\0")
        ):
            device.returned(INIT_SERVER, hello(other))
    with pytest.raises(DeviceException, match="InitServer arguments: expected 0, got 1"):
        device.returned(INIT_SERVER, hello(b"0.8.0", (STR, "server.CreateSession")))


def test_devices_and_streams(device: MemoryDevice) -> None:
    assert device.sequence(SET_DEVICE, CPU) == [(NULL, None)]
    assert device.sequence(GET_ATTR, CPU, (INT, 0)) == [(INT, 1)]
    assert device.sequence(GET_ATTR, CPU, (INT, 4)) == [(NULL, None)]
    assert device.sequence(GET_ATTR, (DEVICE, (2, 0)), (INT, 0)) == [(INT, 0)], "there is no GPU"
    assert device.sequence(CREATE_STREAM, CPU) == [(HANDLE, 0)]
    for code in (SYNC, SET_STREAM, FREE_STREAM):
        assert device.sequence(code, CPU, (HANDLE, 0)) == [(NULL, None)]
        with pytest.raises(DeviceException, match="device type: expected 1, got 2"):
            device.sequence(code, (DEVICE, (2, 0)), (HANDLE, 0))


def test_memory_by_size_and_by_tensor(device: MemoryDevice) -> None:
    ((code, one),) = device.sequence(ALLOC, CPU, (INT, 30), (INT, 64), (DTYPE, (2, 32, 1)))
    two = device.alloc((3, 5), (0, 16, 1)).data
    ((_, three),) = device.sequence(
        ALLOC_SCOPE, (TENSOR, Tensor(0, (3, 5), (0, 16, 1))), (STR, "global")
    )  # fmt: skip
    assert code == HANDLE and len({one, two, three}) == 3
    assert all(address % 64 == 0 for address in (one, two, three))
    for address in (two, one, three):
        assert device.sequence(FREE_DATA, CPU, (HANDLE, address)) == [(NULL, None)]
    with pytest.raises(DeviceException, match="memory scope: expected global, got texture"):
        device.sequence(ALLOC_SCOPE, (TENSOR, Tensor(0, (3,))), (STR, "texture"))


def test_memory_is_used_again(device: MemoryDevice) -> None:
    device.reset(workspace=16 * 1024)
    device.open()
    blocks = [device.alloc((250,)).data for _ in range(12)]
    for order in (blocks[::2], blocks[1::2]):
        for address in order:
            device.sequence(FREE_DATA, CPU, (HANDLE, address))
    assert device.alloc((3000,)).data == blocks[0], "adjacent free blocks must be joined"


def test_tensors_are_copied_on_the_device(device: MemoryDevice) -> None:
    one, two = device.alloc((6,)), device.alloc((2, 3))
    device.copy_to(one, bytes(range(24)))
    device.sequence(COPY_AMONG, (TENSOR, one), (TENSOR, two), (NULL, None))
    assert device.copy_from(two, 24) == bytes(range(24))
    with pytest.raises(DeviceException, match="bytes to copy: expected 24, got 20"):
        device.sequence(COPY_AMONG, (TENSOR, replace(one, shape=(5,))), (TENSOR, two), (NULL, None))


def test_tensors_without_elements(device: MemoryDevice) -> None:
    empty, other = device.alloc((0, 4)), device.alloc((0,))
    assert empty.data != other.data
    device.copy_to(empty, b"")
    assert device.call(kernel(device, "sum"), (TENSOR, replace(empty, dtype=(0, 64, 1))))[1] == (INT, 0)
    for tensor in (empty, other):
        assert device.sequence(FREE_DATA, CPU, (HANDLE, tensor.data)) == [(NULL, None)]


def test_a_part_of_a_tensor_is_copied_at_its_offset(device: MemoryDevice) -> None:
    tensor = device.alloc((8,), (1, 8, 1))
    device.copy_to(tensor, bytes(8))
    device.copy_to(replace(tensor, byte_offset=5), b"xyz")
    assert device.copy_from(replace(tensor, byte_offset=4), 4) == b"\0xyz"


@pytest.mark.parametrize(
    "argument",
    [(INT, -7), (FLOAT, 2.5), (STR, "text"), (STR, ""), (BYTES, b"\xff\0\xfd"), (DEVICE, (1, 3)),
     (NULL, None), (DTYPE, (2, 16, 4, 0)), (HANDLE, 0x1234)],
)  # fmt: skip
def test_arguments_come_back_as_they_went(device: MemoryDevice, argument: Tuple[int, Any]) -> None:
    assert device.call(kernel(device, "echo"), argument) == [(INT, argument[0]), argument]


def test_unsigned_numbers_and_truth_values_are_ints(device: MemoryDevice) -> None:
    for code in (1, BOOL):
        assert device.call(kernel(device, "echo"), (code, 1)) == [(INT, INT), (INT, 1)]
    find = device.function("tvm.rpc.server.ModuleGetFunction")
    kind, _ = device.call(find, (MODULE, device.system_lib()), (STR, "echo"), (BOOL, 0))
    assert kind == (INT, FUNCTION), "hosts of TVM 0.18 send query_imports as a boolean"


def test_kernels_run(device: MemoryDevice) -> None:
    one, two = device.alloc((2, 2)), device.alloc((2, 2))
    device.copy_to(one, struct.pack("<4f", 1, 2, 3, 4))
    assert device.call(kernel(device, "add_one"), (TENSOR, one), (TENSOR, two)) == VOID
    assert struct.unpack("<4f", device.copy_from(two, 16)) == (2, 3, 4, 5)
    assert device.call(kernel(device, "runs_in_parallel"))[1] == (INT, 4950)
    assert device.call(kernel(device, "calls_by_name"), (STR, "number_of_arguments"), (INT, 1))[1] == (INT, 2)
    with pytest.raises(DeviceException, match="no function absent"):
        device.call(kernel(device, "calls_by_name"), (STR, "absent"))


def test_many_arguments(device: MemoryDevice) -> None:
    count = kernel(device, "number_of_arguments")
    assert device.call(count, *[(INT, i) for i in range(64)])[1] == (INT, 64)
    tensor = device.alloc((1, 1, 1, 1))
    assert device.call(count, *[(TENSOR, tensor)] * 12)[1] == (INT, 12)
    with pytest.raises(DeviceException, match="arguments: expected at most 256, got 257"):
        device.call(count, *[(NULL, None)] * 257)
    with pytest.raises(DeviceException, match="packet buffer bytes for the call"):
        device.call(count, *[(TENSOR, tensor)] * 25)


def test_functions_of_the_firmware_are_found(device: MemoryDevice) -> None:
    assert device.function("no.such.function") == 0
    name = b"firmware.count"
    assert device.library.lab_register_global(name) == 0
    assert device.call(device.function("firmware.count"), (INT, 1), (NULL, None))[1] == (INT, 2)
    assert device.library.lab_register_global(name) == -1
    handle = device.function("runtime.SystemLib")
    device.free(handle, FUNCTION)
    device.free(handle, FUNCTION)


LONG = (
    "tvmgen_default_fused_nn_contrib_depthwise_conv2d_NCHWc_add_fixed_point_multiply_clip_cast_clip_cast_"
    "subtract_cast_multiply_add_right_shift_cast__9cfb95e5e544caa9__1"
)


def test_names_of_more_than_a_hundred_characters(device: MemoryDevice) -> None:
    assert len(LONG) > 120
    assert device.call(kernel(device, LONG))[1] == (INT, 0)
    assert kernel(device, LONG[:-1]) == kernel(device, LONG + "0") == 0


def names(count: int) -> List[bytes]:
    return [b"_lookup_linked_param", *(b"tvmgen_f%d" % i for i in range(count))][:count]


COUNTS = (0, 1, 9, 13, 64, 65, 95, 97, 200, 255, 256, 257, 300, 512, 1000)


@pytest.mark.parametrize(
    ("width", "count"), [(width, n) for width in (1, 2) for n in COUNTS if n < 256**width]
)
def test_tables_with_a_count_of_one_and_of_two_bytes(device: MemoryDevice, width: int, count: int) -> None:
    listed = names(count)
    table = count.to_bytes(width, "little") + b"".join(name + b"\0" for name in listed) + b"\0"
    device.library.lab_set_names(table, count)
    library = device.system_lib()
    assert device.module_function(library, "tvmgen_fx") == 0
    for index in {0, 1, count - 2, count - 1}:
        if 0 <= index < count:
            handle = device.module_function(library, listed[index].decode())
            assert handle & 0xFFFF == index
            assert device.call(handle) == VOID


# Invalid requests


def test_a_length_that_is_not_that_of_the_message(device: MemoryDevice) -> None:
    good = message(GET_GLOBAL, sequence((STR, "x")))
    for bad in (good[:-1], good + b"\0", b"\xff" * 8 + good[8:], bytes(8) + good[8:]):
        assert b"message length: expected" in device.raw(bad)
    for bad in (b"", good[:4], good[:8], good[:11], bytes(8)):
        assert b"message ends before its last operand" in device.raw(bad)


@pytest.mark.parametrize("code", [0, 4, 5, 8, 21, 22, 1000, -1, -(2**31)])
def test_codes_that_are_no_requests(device: MemoryDevice, code: int) -> None:
    with pytest.raises(DeviceException, match="unknown request code 0x"):
        device.request(code)


def test_operands_cut_short_or_too_long(device: MemoryDevice) -> None:
    tensor = device.alloc((4,))
    good = [
        (GET_GLOBAL, sequence((STR, "runtime.SystemLib"))),
        (
            CALL,
            struct.pack("<Q", device.function("runtime.SystemLib")) + sequence((TENSOR, tensor), (STR, "a")),
        ),
        (COPY_FROM, tensor.encode() + struct.pack("<Q", 16)),
        (COPY_TO, tensor.encode() + struct.pack("<Q", 16) + bytes(16)),
        (ALLOC_SCOPE, sequence((TENSOR, Tensor(0, (2, 3))), (NULL, None))),
        (INIT_SERVER, struct.pack("<Q", 5) + b"0.8.0" + sequence()),
    ]
    for code, operands in good:
        device.request(code, operands)
        for n in range(len(operands)):
            with pytest.raises(DeviceException):
                device.request(code, operands[:n])
        with pytest.raises(DeviceException, match="bytes after the last operand: expected 0, got 1"):
            device.request(code, operands + b"\0")


def test_counts_and_type_codes_that_cannot_be(device: MemoryDevice) -> None:
    for count in (-1, 257, 2**31 - 1, -(2**31)):
        with pytest.raises(DeviceException, match="arguments: expected at most 256, got"):
            device.request(GET_GLOBAL, struct.pack("<i", count))
    for code in (8, 13, 14, 16, 99, -1):
        with pytest.raises(DeviceException, match="unknown type code 0x"):
            device.request(GET_GLOBAL, struct.pack("<iiQ", 1, code, 0))
    with pytest.raises(DeviceException, match="arguments: expected 1, got 0"):
        device.sequence(GET_GLOBAL)
    with pytest.raises(DeviceException, match="argument type code: expected 11, got 0"):
        device.sequence(GET_GLOBAL, (INT, 1))


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**32, 2**31, 3000])
def test_a_string_longer_than_its_message(device: MemoryDevice, length: int) -> None:
    with pytest.raises(DeviceException, match="ends before its last operand"):
        device.request(GET_GLOBAL, struct.pack("<iiQ", 1, STR, length) + b"text")


def test_handles_that_were_never_given(device: MemoryDevice) -> None:
    function = device.function("runtime.SystemLib")
    system_lib = device.system_lib()
    junk = [
        0,
        1,
        0x8000,
        2**63,
        2**64 - 1,
        function ^ 1 << 16,
        function ^ 1 << 32,
        function ^ 1 << 50,
        system_lib,
    ]
    for handle in [*junk, function + 100]:
        with pytest.raises(DeviceException, match="handle"):
            device.call(handle)
    get_function = device.function("tvm.rpc.server.ModuleGetFunction")
    for handle in [function, 5, 2**64 - 1]:
        with pytest.raises(DeviceException, match="not a handle of this session"):
            device.call(get_function, (MODULE, handle), (STR, "add_one"), (INT, 1))
    mismatched = [(0, FUNCTION), (123, MODULE), (system_lib, FUNCTION), (function, MODULE), (function, 77)]
    for handle, code in [*mismatched, (system_lib | 1, NDARRAY)]:
        with pytest.raises(DeviceException, match="handle"):
            device.free(handle, code)


BAD_TENSORS = [
    ({"shape": (-1,)}, "tensor dimension: expected at most 2147483647, got -1"),
    ({"shape": (2**31, 2)}, "tensor dimension: expected at most 2147483647, got 2147483648"),
    ({"shape": (2**63 - 1, 2)}, "tensor dimension: expected at most"),
    ({"shape": (2**30, 2**30, 2**30)}, "tensor bytes: expected at most"),
    ({"shape": (1,) * 9}, "tensor dimensions: expected at most 8, got 9"),
    ({"shape": (4,), "ndim": -1}, "tensor dimensions: expected at most 8, got -1"),
    ({"shape": (4,), "ndim": 2**31 - 1}, "tensor dimensions: expected at most"),
    ({"shape": (4,), "dtype": (2, 0, 1)}, "data type without bits"),
    ({"shape": (4,), "dtype": (2, 32, 0)}, "data type without bits"),
    ({"byte_offset": 2**64 - 4}, "beyond the device memory"),
    ({"byte_offset": 2**31}, "beyond the device memory"),
    ({"byte_offset": 1 << 12}, "no allocation holds the tensor at"),
    ({"device": (2, 0)}, "device type: expected 1, got 2"),
    ({"data": 0}, "no allocation holds the tensor at 0x0"),
    ({"data": 2**64 - 64}, "no allocation holds the tensor at"),
    ({"shape": (17,)}, "no allocation holds the tensor at"),
    ({"dtype": (2, 64, 16)}, "no allocation holds the tensor at"),
]


@pytest.mark.parametrize(("change", "text"), BAD_TENSORS, ids=range(len(BAD_TENSORS)))
def test_tensors_that_cannot_be(device: MemoryDevice, change: Any, text: str) -> None:
    good = device.alloc((16,))
    bad = replace(good, **change)
    nbytes = 17 * 4 if change.get("shape") == (17,) else 1900 if "dtype" in change else 64
    with pytest.raises(DeviceException, match=text):
        device.request(COPY_FROM, bad.encode() + struct.pack("<Q", nbytes))
    with pytest.raises(DeviceException, match=text):
        device.request(COPY_TO, bad.encode() + struct.pack("<Q", nbytes) + bytes(nbytes))
    with pytest.raises(DeviceException, match=text):
        device.call(kernel(device, "sum"), (TENSOR, bad))
    assert device.copy_from(good, 64)


def test_copies_beyond_the_tensor_or_the_packet(device: MemoryDevice) -> None:
    tensor = device.alloc((1000,))
    for nbytes in (4001, 2**32, 2**63):
        with pytest.raises(DeviceException, match="bytes to copy: expected at most 4000, got"):
            device.request(COPY_FROM, tensor.encode() + struct.pack("<Q", nbytes))
    with pytest.raises(DeviceException, match="bytes to copy in a packet: expected at most 2033, got 4000"):
        device.request(COPY_FROM, tensor.encode() + struct.pack("<Q", 4000))
    with pytest.raises(DeviceException, match="bytes to copy: expected at most 4, got 5"):
        device.request(COPY_TO, replace(tensor, shape=(1,)).encode() + struct.pack("<Q", 5) + bytes(5))


def test_the_memory_of_the_runtime_is_out_of_reach(device: MemoryDevice) -> None:
    before = device.alloc((16,)).data
    module = device.aot("scale")
    tensor, _ = device.tensor(device.module_function(module, "get_input"), (INT, 0))
    for address in range(before + 64, tensor.data, 8):
        with pytest.raises(DeviceException, match="no allocation holds the tensor at"):
            device.copy_to(Tensor(address, (1,)), bytes(4))
    with pytest.raises(DeviceException, match="not an allocation"):
        device.sequence(FREE_DATA, CPU, (HANDLE, tensor.data))


@pytest.mark.parametrize("offset", [8, 64, -64, 1 << 20])
def test_addresses_that_are_not_an_allocation(device: MemoryDevice, offset: int) -> None:
    tensor = device.alloc((16,))
    with pytest.raises(DeviceException, match="not an allocation"):
        device.sequence(FREE_DATA, CPU, (HANDLE, tensor.data + offset))
    device.sequence(FREE_DATA, CPU, (HANDLE, tensor.data))
    with pytest.raises(DeviceException, match="not an allocation"):
        device.sequence(FREE_DATA, CPU, (HANDLE, tensor.data))
    with pytest.raises(DeviceException, match="no allocation holds"):
        device.copy_from(tensor, 4)


def test_linked_parameters_may_be_read_by_kernels_only(device: MemoryDevice) -> None:
    lookup = kernel(device, "_lookup_linked_param")
    assert device.call(lookup, (INT, 2)) == VOID
    kind, (code, address) = device.call(lookup, (INT, 3))
    assert (kind, code) == ((INT, HANDLE), HANDLE)
    parameter = Tensor(address, (4,), (0, 64, 1))
    assert device.call(kernel(device, "sum"), (TENSOR, parameter))[1] == (INT, 10)
    with pytest.raises(DeviceException, match="no allocation holds"):
        device.copy_to(parameter, bytes(8))
    with pytest.raises(DeviceException, match="no allocation holds"):
        device.call(kernel(device, "sum"), (TENSOR, replace(parameter, data=address + 8)))
    with pytest.raises(DeviceException, match="tensor dimension: expected at most 2147483647, got -5"):
        device.call(kernel(device, "sum"), (TENSOR, replace(parameter, shape=(-5,))))
    with pytest.raises(DeviceException, match="tensor bytes: expected at most"):
        device.call(kernel(device, "sum"), (TENSOR, replace(parameter, shape=(2**30, 2**30))))


# Failing kernels and short memory


def test_the_text_of_a_kernel_travels(device: MemoryDevice) -> None:
    with pytest.raises(DeviceException, match=r"^Assert fail: the shape is wrong$"):
        device.call(kernel(device, "fails_and_says_why"))
    with pytest.raises(DeviceException, match="function result: expected 0, got -1"):
        device.call(kernel(device, "fails_without_a_word"))


def test_long_texts_are_cut(device: MemoryDevice) -> None:
    with pytest.raises(DeviceException, match=r"^no unique tensor x{100,191}$"):
        module = device.aot("scale")
        device.call(device.module_function(module, "get_input"), (STR, "x" * 1000))


@pytest.mark.parametrize("nbytes", [5000, 2**31 - 1, 2**31, 2**32, 2**40, 2**63, 2**64 - 1])
def test_memory_that_runs_out_is_told(device: MemoryDevice, nbytes: int) -> None:
    device.reset(workspace=4096)
    device.open()
    with pytest.raises(
        DeviceException, match=r"out of workspace memory, bytes: expected -?\d+, got \d+"
    ) as caught:
        device.sequence(ALLOC, CPU, (INT, nbytes), (INT, 64), (DTYPE, (2, 32, 1)))
    want, got = str(caught.value).split("expected ")[1].split(", got ")
    if nbytes < 2**63:
        assert int(want) == nbytes
    assert 3800 < int(got) < 4096
    ((_, address),) = device.sequence(ALLOC, CPU, (INT, int(got)), (INT, 64), (DTYPE, (2, 32, 1)))
    with pytest.raises(DeviceException, match="expected 1, got 0"):
        device.sequence(ALLOC, CPU, (INT, 1), (INT, 64), (DTYPE, (2, 32, 1)))
    device.sequence(FREE_DATA, CPU, (HANDLE, address))
    device.alloc((900,))


def test_memory_that_is_too_small_leaves_the_old_one_in_place(device: MemoryDevice) -> None:
    first = device.alloc((16,)).data
    small = ctypes.create_string_buffer(32)
    assert device.library.mtvm_memory_init(small, ctypes.c_size_t(len(small))) == -1
    assert device.alloc((16,)).data == first + 128
    assert small.raw == bytes(32)


def test_workspaces_of_kernels(device: MemoryDevice) -> None:
    device.reset(workspace=8192)
    device.open()
    uses = kernel(device, "uses_workspace")
    for nbytes in (0, 1, 63, 64, 65, 3000, 3700):
        assert device.call(uses, (INT, nbytes)) == VOID
    with pytest.raises(DeviceException, match=r"out of workspace memory, bytes: expected 4100, got 3\d\d\d"):
        device.call(uses, (INT, 4100))
    with pytest.raises(DeviceException, match="out of workspace memory, bytes: expected 2147483647"):
        device.call(uses, (INT, 2**62))
    for _ in range(100):
        assert device.call(kernel(device, "leaks_workspace")) == VOID
    with pytest.raises(DeviceException, match="not the last workspace"):
        device.call(kernel(device, "frees_in_the_wrong_order"))
    assert device.call(uses, (INT, 3700)) == VOID, "blocks that a kernel does not free must be freed"


def test_a_kernel_that_writes_past_its_tensor_is_found_out(device: MemoryDevice) -> None:
    tensors = [device.alloc((16,)) for _ in range(3)]
    device.call(kernel(device, "writes_past_its_tensor"), (TENSOR, tensors[0]))
    with pytest.raises(DeviceException, match="a kernel wrote past its tensor, to 0x"):
        device.alloc((16,))
    with pytest.raises(DeviceException, match="a kernel wrote past its tensor, to 0x"):
        device.copy_from(tensors[2], 4)
    with pytest.raises(DeviceException, match="a kernel wrote past its tensor, to 0x"):
        device.sequence(FREE_DATA, CPU, (HANDLE, tensors[2].data))
    device.open()
    assert device.alloc((16,)).data == tensors[0].data
