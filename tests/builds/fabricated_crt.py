# SPDX-License-Identifier: Apache-2.0
"""Fabricated folder in the layout of TVM's own runtime, without any of its code.

Its server replies to every byte that it receives with two: the number of servers since the start of the
firmware, and the byte. Its headers are those of the device runtime, which have the same names.
"""

from __future__ import annotations

import shutil
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "runtime/device/include"

SERVER_H = """
#include <sys/types.h>
#include <tvm/runtime/crt/error_codes.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef void *microtvm_rpc_server_t;
microtvm_rpc_server_t MicroTVMRpcServerInit(ssize_t (*write)(void *, const uint8_t *, size_t), void *context);
tvm_crt_error_t MicroTVMRpcServerLoop(microtvm_rpc_server_t server, uint8_t **data, size_t *n);
#ifdef __cplusplus
}
#endif
"""
LOGGING_H = """
#ifdef __cplusplus
extern "C"
#endif
void TVMLogf(const char *format, ...);
"""
MORE_OF_PLATFORM_H = """
#include <dlpack/dlpack.h>
#include <stdarg.h>
#ifdef __cplusplus
extern "C" {
#endif
tvm_crt_error_t TVMPlatformMemoryAllocate(size_t size, DLDevice device, void **data);
tvm_crt_error_t TVMPlatformMemoryFree(void *data, DLDevice device);
#ifdef __cplusplus
}
#endif
"""
COMMON_C = """
#include <crt_config.h>
#include <inttypes.h>
#include <stddef.h>
const char *const format_of_an_int64 = "%" PRId64;
_Static_assert(TVM_CRT_MAX_ARGS >= 30 && TVM_CRT_MAX_STRLEN_FUNCTION_NAME == 120, "crt_config.h");
int TVMFuncRegisterGlobal(const char *name, void *function, int override) { return 0; }
void TVMAPISetLastError(const char *text) {}
const char *TVMGetLastError(void) { return ""; }
void *TVMBackendAllocWorkspace(int type, int id, uint64_t nbytes, int code, int bits) { return NULL; }
int TVMBackendFreeWorkspace(int type, int id, void *data) { return 0; }
"""
SERVER_CC = """
#include <memory>
#include <utility>
#include <tvm/runtime/crt/logging.h>
#include <tvm/runtime/crt/microtvm_rpc_server.h>
#include "../../minrpc/answer.h"
struct Base { virtual ~Base() {} virtual int answer() = 0; };
struct Derived : Base { int answer() override { return ANSWER; } };
using Write = ssize_t (*)(void *, const uint8_t *, size_t);
static Write to_host;
static uint8_t servers;
extern "C" microtvm_rpc_server_t MicroTVMRpcServerInit(Write write, void *) {
  const uint8_t hello[2] = {++servers, '!'};
  to_host = write;
  to_host(nullptr, hello, sizeof hello);
  std::unique_ptr<Base> made(new Derived());
  std::unique_ptr<Base> moved(std::move(made));
  static_assert(std::is_trivial<int>::value && std::is_pod<int>::value, "traits");
  return moved->answer() == ANSWER ? moved.get() : nullptr;
}
extern "C" tvm_crt_error_t MicroTVMRpcServerLoop(microtvm_rpc_server_t, uint8_t **data, size_t *n) {
  for (; *n > 0; ++*data, --*n) {
    const uint8_t answer[2] = {servers, **data};
    to_host(nullptr, answer, sizeof answer);
  }
  return kTvmErrorNoError;
}
extern "C" void TVMLogf(const char *, ...) {}
"""


def fabricate_crt(directory: Path, aot: bool = True) -> Path:
    """Write a fabricated runtime.

    Args:
        directory: Folder to create.
        aot: Layout of TVM 0.9 and later; otherwise of TVM 0.8.
    """
    shutil.copytree(INCLUDE / "tvm", directory / "include/tvm")
    shutil.copytree(INCLUDE / "dlpack", directory / "include/dlpack")
    crt_headers = directory / "include/tvm/runtime/crt"
    (crt_headers / "microtvm_rpc_server.h").write_text(SERVER_H)
    (crt_headers / "logging.h").write_text(LOGGING_H)
    with (crt_headers / "platform.h").open("a") as header:
        header.write(MORE_OF_PLATFORM_H)
    # TVM's own header lacks the constants of its code generator and those of math.h.
    api = directory / "include/tvm/runtime/c_runtime_api.h"
    text = api.read_text()
    for guard in ("#ifdef TVM_EXPORTS\n", "#if defined(__GNUC__)\n#ifndef INFINITY\n"):
        assert guard in text
        text = text.replace(guard, "#if 0\n" + "#if 0\n" * (guard.count("\n") - 1))
    api.write_text(text.replace("#else\n#include <math.h>\n", "#else\n"))
    files = {
        "runtime/crt/common/common.c": COMMON_C,
        "runtime/crt/memory/memory.c": "int of_memory;",
        "runtime/crt/microtvm_rpc_common/crc.c": '#include "../tab/table.inc"',
        "runtime/crt/microtvm_rpc_common/session.cc": "int of_session;",
        "runtime/crt/microtvm_rpc_server/rpc_server.cc": SERVER_CC,
        "runtime/crt/graph_executor/graph_executor.c": "int of_graph_executor;",
        "runtime/crt/host/main.cc": "#error this is no library",
        "runtime/crt/tab/table.inc": "int of_table;",
        "runtime/minrpc/answer.h": "#define ANSWER 42",
    }
    if aot:
        files["runtime/crt/aot_executor/aot_executor.c"] = "int of_aot_executor;"
        files["runtime/crt/aot_executor_module/aot_executor_module.c"] = "int of_aot_executor_module;"
    for name, text in files.items():
        path = directory / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (directory / "Makefile").write_text("$(error nobody runs this)\n")
    return directory
