/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion between packed functions and the handles of TVM's API. ISO C cannot convert between pointers to
 * functions and pointers to objects, so only this file converts them, through an integer. Inline: a call
 * would cost more than the conversion, which generates no machine code. */
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
