/* SPDX-License-Identifier: Apache-2.0 */
/* The system library: the table of functions that a model archive brings along. */
#ifndef MTVM_CRT_MODULE_H
#define MTVM_CRT_MODULE_H

#include <tvm/runtime/c_backend_api.h>
#include <tvm/runtime/crt/error_codes.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct TVMFuncRegistry {
  /* A count (one byte in archives of TVM 0.8, two from 0.9), then that many NUL-terminated names. */
  const char *names;
  const TVMBackendPackedCFunc *funcs;
} TVMFuncRegistry;

typedef struct TVMModule {
  const TVMFuncRegistry *registry;
} TVMModule;

/* Defined by the model archive. */
const TVMModule *TVMSystemLibEntryPoint(void);

#ifdef __cplusplus
}
#endif

#endif
