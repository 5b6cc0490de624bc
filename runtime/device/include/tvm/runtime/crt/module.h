/* SPDX-License-Identifier: Apache-2.0 */
/* The system library: the table of functions in a model archive. */
#ifndef MTVM_CRT_MODULE_H
#define MTVM_CRT_MODULE_H

#include <tvm/runtime/c_backend_api.h>
#include <tvm/runtime/crt/error_codes.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct TVMFuncRegistry {
  /* A count (one byte in archives of TVM 0.8, two since 0.9), then that number of NUL-terminated names. */
  const char *names;
  const TVMBackendPackedCFunc *funcs;
} TVMFuncRegistry;

typedef struct TVMModule {
  const TVMFuncRegistry *registry;
} TVMModule;

/* Return the system library. The model archive defines this function. */
const TVMModule *TVMSystemLibEntryPoint(void);

#ifdef __cplusplus
}
#endif

#endif
