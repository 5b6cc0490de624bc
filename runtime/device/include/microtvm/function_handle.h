/* SPDX-License-Identifier: Apache-2.0 */
/* A packed function as the handle that TVM's API passes it by, and back. ISO C has no conversion between pointers
 * to functions and to objects: this is the one place that makes it, by way of an integer. Inline, because a call
 * would cost more than the conversion, which is none in machine code. */
#ifndef MTVM_FUNCTION_HANDLE_H
#define MTVM_FUNCTION_HANDLE_H

#include <stdint.h>
#include <tvm/runtime/c_backend_api.h>
#include <tvm/runtime/c_runtime_api.h>

static inline TVMFunctionHandle mtvm_to_handle(TVMBackendPackedCFunc function) {
  return (TVMFunctionHandle)(uintptr_t)function;
}

static inline TVMBackendPackedCFunc mtvm_from_handle(TVMFunctionHandle handle) {
  return (TVMBackendPackedCFunc)(uintptr_t)handle;
}

#endif
