# SPDX-License-Identifier: Apache-2.0
"""All names that TVM's generated C code uses from the headers of a runtime, with TVM's numbers.

A row of the table is a name, a C statement that compiles only with this name, and the file of TVM that writes
it. The rows of a unit are compiled together, after the #include lines of that file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple

import pytest

from tests.device.building import DEVICE, INCLUDES, LIBRARY, run

EVERY = "0.8 to 0.18"
SINCE_0_9 = "0.9 to 0.18"


class Name(NamedTuple):
    """Name, a use of it in C, and the file in the TVM repository, of the given versions, that needs it."""

    name: str
    use: str
    unit: str
    source: str
    versions: str = EVERY


# The beginning of a translation unit, as in the file of TVM.
UNITS: Dict[str, str] = {
    "kernel": """
#define TVM_EXPORTS
#include "tvm/runtime/c_runtime_api.h"
#include "tvm/runtime/c_backend_api.h"
#include <math.h>
#include <stdbool.h>
""",
    "micro kernel": """
#define TVM_EXPORTS
#include "tvm/runtime/c_runtime_api.h"
#include "tvm/runtime/c_backend_api.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tvm/runtime/crt/error_codes.h>
""",
    "system library": """
#include <tvm/runtime/crt/module.h>
#include "tvm/runtime/c_runtime_api.h"
""",
    "C interface": """
#include "tvm/runtime/c_runtime_api.h"
#include <stdint.h>
""",
    "metadata": """
#include <inttypes.h>
#include <tvm/runtime/metadata_types.h>
#include <tvm/runtime/c_runtime_api.h>
""",
    "external": """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/c_backend_api.h>
""",
    "Ethos-U": """
#include <stdio.h>
#include <stdlib.h>
#include <tvm/runtime/crt/module.h>
""",
    "CMSIS-NN": """
#define TVM_EXPORTS
#include "tvm/runtime/c_runtime_api.h"
#include "tvm/runtime/c_backend_api.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <dlpack/dlpack.h>
""",
    "platform": """
#include <tvm/runtime/crt/platform.h>
""",
}

C_HOST = "src/target/source/codegen_c_host.cc"
CODEGEN_C = "src/target/source/codegen_c.cc"
PARAMS = "src/target/source/codegen_params.cc"
SOURCE_MODULE = "src/target/source/source_module.cc"
LLVM = "src/target/llvm/codegen_cpu.cc"
BUILTIN = "src/tir/transforms/lower_tvm_builtin.cc"
GEMM = "python/tvm/topi/arm_cpu/mprofile/dsp/micro_kernel/gemm.py"
EXTERNAL = "src/relay/backend/contrib/codegen_c/codegen_c.h"
ETHOS_U = "src/relay/backend/contrib/ethosu/source_module.cc"
CMSIS_NN = "src/relay/backend/contrib/cmsisnn/tir_to_runtime.cc"
ERROR_CODES = "include/tvm/runtime/crt/error_codes.h"
RUNTIME_API = "include/tvm/runtime/c_runtime_api.h"
BACKEND_API = "include/tvm/runtime/c_backend_api.h"

SIX = (
    "TVMValue *args, int *type_codes, int num_args, TVMValue *out, int *out_type_code, void *resource_handle"
)
TENSOR_MEMBERS = ("data", "shape", "strides", "ndim", "byte_offset")


def at_file_scope(use: str, number: int) -> str:
    """Return a C function with the statement `use`."""
    return f"void use_{number}(void *p) {{ (void)p; {use} }}"


def names() -> List[Name]:
    """Return the table."""
    return [
        Name("TVM_DLL", 'TVM_DLL int32_t declared(void); (void)"";', "kernel", C_HOST),
        Name("TVMValue", "TVMValue stack[2]; void *code = stack; (void)code;", "kernel", C_HOST),
        *(
            Name(f"TVMValue.{member}", f"(void)(((TVMValue *)p)[0].{member});", "kernel", CODEGEN_C)
            for member in ("v_int64", "v_float64", "v_handle")
        ),
        Name("DLTensor", "(void)sizeof(DLTensor[1]);", "kernel", CODEGEN_C),
        *(
            Name(f"DLTensor.{member}", f"(void)(((DLTensor *)p)[0].{member});", "kernel", CODEGEN_C)
            for member in (*TENSOR_MEMBERS, "dtype.code", "dtype.bits", "dtype.lanes")
        ),
        Name("DLDevice.device_id", "(void)(((DLTensor *)p)[0].device.device_id);", "kernel", CODEGEN_C),
        Name(
            "DLDeviceType", "(((DLTensor *)p)[0].device.device_type) = (DLDeviceType)1;", "kernel", CODEGEN_C
        ),
        Name("TVMAPISetLastError", 'TVMAPISetLastError("why");', "kernel", C_HOST),
        Name(
            "TVMBackendGetFuncFromEnv",
            'void *f = NULL; (void)TVMBackendGetFuncFromEnv(p, "name", &f);',
            "kernel",
            C_HOST,
        ),
        Name(
            "TVMFuncCall",
            "TVMValue v; int c; (void)TVMFuncCall(p, (TVMValue *)p, (int *)p, 1, &v, &c);",
            "kernel",
            C_HOST,
        ),
        Name(
            "TVMBackendAllocWorkspace",
            "(void)TVMBackendAllocWorkspace(1, 0, (uint64_t)64, 2, 32);",
            "kernel",
            BUILTIN,
        ),
        Name("TVMBackendFreeWorkspace", "(void)TVMBackendFreeWorkspace(1, 0, p);", "kernel", BUILTIN),
        Name("inff", "*(float *)p = (*(float *)p < (inff)) ? -inff : inff;", "kernel", CODEGEN_C),
        Name("inf", "*(double *)p = (*(double *)p < (inf)) ? -inf : inf;", "kernel", CODEGEN_C),
        Name("nanf", "*(float *)p = nanf + -nanf;", "kernel", CODEGEN_C),
        Name("nan", "*(double *)p = nan + -nan;", "kernel", CODEGEN_C),
        Name("INFINITY", "static const float c[] = {INFINITY, -INFINITY}; (void)c;", "kernel", PARAMS),
        Name("NAN", "static const double c[] = {NAN}; (void)c;", "kernel", PARAMS),
        Name(
            "TVMBackendParallelLaunch",
            "(void)TVMBackendParallelLaunch((FTVMParallelLambda)0, p, 0);",
            "kernel",
            LLVM,
        ),
        Name(
            "TVMBackendParallelBarrier",
            "TVMParallelGroupEnv env = {p, 1}; (void)TVMBackendParallelBarrier(0, &env);",
            "kernel",
            LLVM,
        ),
        Name(
            "TVMBackendRegisterSystemLibSymbol",
            '(void)TVMBackendRegisterSystemLibSymbol("name", p);',
            "kernel",
            "src/target/llvm/codegen_cpu.cc",
        ),
        Name("TVMBackendRunOnce", "(void)TVMBackendRunOnce(&p, 0, 0, 0);", "kernel", BACKEND_API),
        Name("tvm_index_t", '_Static_assert(sizeof(tvm_index_t) == 8, "");', "kernel", RUNTIME_API),
        Name(
            "kTvmErrorFunctionCallInvalidArg",
            "int32_t retcode = 0; retcode = kTvmErrorFunctionCallInvalidArg; (void)retcode;",
            "micro kernel",
            GEMM,
            SINCE_0_9,
        ),
        Name(
            "TVMBackendPackedCFunc",
            "static TVMBackendPackedCFunc f[1]; (void)f;",
            "system library",
            SOURCE_MODULE,
        ),
        Name(
            "TVMFuncRegistry",
            'static const TVMFuncRegistry r = {"\\001\\000name", NULL}; (void)r;',
            "system library",
            SOURCE_MODULE,
        ),
        Name(
            "TVMModule",
            "static const TVMFuncRegistry r; static const TVMModule m = {&r}; (void)m;",
            "system library",
            SOURCE_MODULE,
        ),
        Name("TVMSystemLibEntryPoint", "(void)TVMSystemLibEntryPoint();", "system library", SOURCE_MODULE),
        Name(
            "DLTensor.data by name",
            "DLTensor t = {.data = p}; TVMValue v = {.v_handle = &t}; (void)v;",
            "system library",
            SOURCE_MODULE,
            SINCE_0_9,
        ),
        Name(
            "INFINITY", "static const float c[] = {-INFINITY, NAN}; (void)c;", "system library", SOURCE_MODULE
        ),
        Name("INFINITY", "static const float c[] = {-INFINITY, NAN}; (void)c;", "C interface", SOURCE_MODULE),
        Name("TVM_DLL", "TVM_DLL int32_t main_function(void *);", "C interface", SOURCE_MODULE),
        Name(
            "TVMTensorInfo",
            "static const int64_t s[1] = {1L}; "
            'static const struct TVMTensorInfo t = {"x", s, 1L, {0, 8, 1}}; (void)t;',
            "metadata",
            SOURCE_MODULE,
            SINCE_0_9,
        ),
        Name(
            "TVMConstantInfo",
            'static const struct TVMConstantInfo c = {"w", 0UL, 4, "\\x00"}; (void)c;',
            "metadata",
            SOURCE_MODULE,
            "0.10 to 0.18",
        ),
        Name(
            "TVMMetadata",
            'static const struct TVMMetadata m = {1L, 0, 0L, 0, 0L, 0, 0L, 0, 0L, "m"}; (void)m;',
            "metadata",
            SOURCE_MODULE,
            SINCE_0_9,
        ),
        Name(
            "kTVMOpaqueHandle",
            '_Static_assert(kTVMOpaqueHandle == 3, "");',
            "metadata",
            SOURCE_MODULE,
            SINCE_0_9,
        ),
        Name(
            "DLTensor",
            "DLTensor *t = (DLTensor *)(((TVMValue *)p)[0].v_handle); (void)t->data;",
            "external",
            EXTERNAL,
        ),
        Name("TVM_DLL", f"TVM_DLL int32_t wrapped({SIX});", "external", EXTERNAL),
        Name("kDLCPU", '_Static_assert(kDLCPU == 1, "");', "Ethos-U", ETHOS_U),
        Name(
            "TVMBackendAllocWorkspace",
            "int8_t *s = (int8_t *)TVMBackendAllocWorkspace(kDLCPU, 0, (uint64_t)8, 0, 16); (void)s;",
            "Ethos-U",
            ETHOS_U,
        ),
        Name("TVMBackendFreeWorkspace", "(void)TVMBackendFreeWorkspace(kDLCPU, 0, p);", "Ethos-U", ETHOS_U),
        Name("TVMAPISetLastError", 'TVMAPISetLastError("why");', "CMSIS-NN", CMSIS_NN, "0.12 to 0.18"),
        *(
            Name(name, f'_Static_assert({name} == {code:#x}, "");', "platform", ERROR_CODES)
            for name, code in ERRORS.items()
        ),
        *(
            Name(name, f'_Static_assert({name} == {code}, "");', "kernel", RUNTIME_API)
            for name, code in TYPE_CODES.items()
        ),
    ]


ERRORS = {
    "kTvmErrorNoError": 0,
    "kTvmErrorFunctionNameNotFound": 0x100,
    "kTvmErrorFunctionIndexInvalid": 0x101,
    "kTvmErrorFunctionRegistryFull": 0x102,
    "kTvmErrorFunctionAlreadyDefined": 0x103,
    "kTvmErrorBufferTooSmall": 0x104,
    "kTvmErrorFramingInvalidState": 0x200,
    "kTvmErrorFramingShortPacket": 0x201,
    "kTvmErrorFramingInvalidEscape": 0x202,
    "kTvmErrorFramingPayloadOverflow": 0x203,
    "kTvmErrorFramingPayloadIncomplete": 0x204,
    "kTvmErrorWriteStreamShortWrite": 0x300,
    "kTvmErrorWriteStreamLongWrite": 0x301,
    "kTvmErrorSessionInvalidState": 0x400,
    "kTvmErrorSessionReceiveBufferBusy": 0x401,
    "kTvmErrorSessionReceiveBufferShortWrite": 0x402,
    "kTvmErrorPlatformCheckFailure": 0x500,
    "kTvmErrorPlatformMemoryManagerInitialized": 0x501,
    "kTvmErrorPlatformShutdown": 0x502,
    "kTvmErrorPlatformNoMemory": 0x503,
    "kTvmErrorPlatformTimerBadState": 0x504,
    "kTvmErrorPlatformStackAllocBadFree": 0x505,
    "kTvmErrorGeneratedInvalidStorageId": 0x600,
    "kTvmErrorExecutorModuleAlreadyCreated": 0x700,
    "kTvmErrorExecutorModuleBadContext": 0x701,
    "kTvmErrorExecutorModuleNoSuchInput": 0x702,
    "kTvmErrorFunctionCallNumArguments": 0x800,
    "kTvmErrorFunctionCallWrongArgType": 0x801,
    "kTvmErrorFunctionCallNotImplemented": 0x802,
    "kTvmErrorFunctionCallInvalidArg": 0x803,
    "kTvmErrorTimeEvaluatorBadHandle": 0x900,
}

TYPE_CODES = {
    "kTVMArgInt": 0,
    "kTVMArgFloat": 2,
    "kTVMOpaqueHandle": 3,
    "kTVMNullptr": 4,
    "kTVMDataType": 5,
    "kDLDevice": 6,
    "kTVMDLTensorHandle": 7,
    "kTVMObjectHandle": 8,
    "kTVMModuleHandle": 9,
    "kTVMPackedFuncHandle": 10,
    "kTVMStr": 11,
    "kTVMBytes": 12,
    "kTVMNDArrayHandle": 13,
    "kTVMObjectRValueRefArg": 14,
    "kTVMArgBool": 15,
    "kDLInt": 0,
    "kDLUInt": 1,
    "kDLFloat": 2,
    "kDLBfloat": 4,
}

# Names that user code may define. The headers with TVM's types must not define them.
OF_OWNERS = """
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/c_backend_api.h>
#include <tvm/runtime/crt/module.h>
#include <tvm/runtime/crt/platform.h>
#include <microtvm/app.h>
static int inf = 1, inff = 2, nan = 3, nanf = 4, y0 = 5, gamma = 6;
int owners(void) { return inf + inff + nan + nanf + y0 + gamma; }
"""

# Variables of a generated file with the names of constants: TVM names them after the inputs of a model.
OF_INPUTS = """
struct tvmgen_default_inputs { void *inf; void *nan; void *inff; void *nanf; };
float local(void *args) {
  void *inf = (((TVMValue *)args)[0].v_handle);
  void *nan = (((DLTensor *)inf)[0].data);
  return ((float *)nan)[0] + inff;
}
float parameter(float *nanf, struct tvmgen_default_inputs *inputs) { return nanf[0] + *(float *)inputs->inf; }
"""

COMPILERS: Dict[str, List[str]] = {
    "gcc": ["gcc"],
    "clang": ["clang", "-Wno-unknown-warning-option"],
    "cortex-m3": ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb"],
    "cortex-m4": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    "cortex-m33": ["arm-none-eabi-gcc", "-mcpu=cortex-m33", "-mthumb"],
    "riscv64": ["riscv64-unknown-elf-gcc", "--specs=picolibc.specs"],
    "riscv32": ["riscv64-unknown-elf-gcc", "--specs=picolibc.specs", "-march=rv32imac", "-mabi=ilp32"],
}
FLAGS = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", *INCLUDES[:1])


def compiler(name: str) -> List[str]:
    """Return the command of a compiler. Skip the test if the compiler is not installed."""
    command = COMPILERS[name]
    if shutil.which(command[0]) is None:
        assert not os.environ.get("CI"), f"CI must have {command[0]}"
        pytest.skip(f"{command[0]} is not installed")
    return command


def unit(name: str) -> str:
    """Return a translation unit that uses every name that TVM's files of this kind use."""
    uses = [
        f'#line 1 "{row.name}, for {row.source} of TVM {row.versions}"\n{at_file_scope(row.use, number)}'
        for number, row in enumerate(names())
        if row.unit == name
    ]
    return UNITS[name] + "\n".join(uses) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILERS)
def test_generated_code_finds_every_name(name: str, tmp_path: Path) -> None:
    command = compiler(name)
    for number, kind in enumerate(UNITS):
        source = tmp_path / f"unit{number}.c"
        text = unit(kind) + (OF_INPUTS if kind == "kernel" else "")
        source.write_text(text, encoding="utf-8")
        run([*command, *FLAGS, "-c", source, "-o", source.with_suffix(".o")])


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILERS)
def test_code_of_owners_keeps_its_names(name: str, tmp_path: Path) -> None:
    source = tmp_path / "owner.c"
    source.write_text(OF_OWNERS, encoding="utf-8")
    run([*compiler(name), *FLAGS, "-Wno-builtin-declaration-mismatch", "-c", source, "-o", tmp_path / "o.o"])


def test_every_public_name_of_the_error_codes_has_a_row() -> None:
    text = (DEVICE / "include/tvm/runtime/crt/error_codes.h").read_text(encoding="utf-8")
    of_0_8 = {name for name in text.split() if name.startswith("kTvmErrorGraph")}
    written = {word for word in text.split() if word.startswith("kTvmError") and "Category" not in word}
    assert written - of_0_8 == {*ERRORS, "kTvmErrorSystemErrorMask"}


VALUES = """
#define TVM_EXPORTS
#include "tvm/runtime/c_runtime_api.h"
#include "tvm/runtime/c_backend_api.h"
#include <math.h>
#include <stdio.h>
static const float linked[] = {INFINITY, -INFINITY, NAN};
static int calls;
static int counted(void *data) { calls++; return *(int *)data; }
int main(void) {
  volatile float x = inff, y = -inff, z = nanf;
  volatile double dx = inf, dy = -inf, dz = nan;
  void *handle = NULL;
  int fails = -1, works = 0, results[3];
  printf("%d %d %d %d\\n", isinf(x) && x > 0, isinf(y) && y < 0, isnan(z) != 0, sizeof(inff) == 4);
  printf("%d %d %d %d\\n", isinf(dx) && dx > 0, isinf(dy) && dy < 0, isnan(dz) != 0, sizeof(inf) == 8);
  printf("%d %d %d\\n", linked[0] == x, linked[1] == y, isnan(linked[2]) != 0);
  results[0] = TVMBackendRunOnce(&handle, counted, &fails, 0);
  results[1] = TVMBackendRunOnce(&handle, counted, &works, 0);
  results[2] = TVMBackendRunOnce(&handle, counted, &fails, 0);
  printf("%d %d %d, %d calls\\n", results[0], results[1], results[2], calls);
  printf("%d %s\\n", TVMBackendRegisterSystemLibSymbol("hook", NULL), TVMGetLastError());
  return 0;
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["gcc", "clang"])
def test_constants_and_functions_do_what_tvm_expects(command: str, tmp_path: Path) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    source = tmp_path / "values.c"
    source.write_text(VALUES, encoding="utf-8")
    program = tmp_path / "values"
    library = [path for path in LIBRARY if path.stem in ("backend", "error")]
    run([command, "-std=gnu11", "-w", *INCLUDES, source, *library, "-lm", "-o", program])
    printed = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "1 1 1 1",
        "1 1 1 1",
        "1 1 1",
        "-1 0 0, 2 calls",
        "-1 cannot register symbol hook",
    ]
