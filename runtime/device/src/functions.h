/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that the host can call: those of the runtime, of the system library and of executors, and
 * those that the firmware registers. */
#ifndef MTVM_FUNCTIONS_H
#define MTVM_FUNCTIONS_H

#include <tvm/runtime/c_backend_api.h>

#include "packed.h"

typedef int (*mtvm_native_fn)(mtvm_call_t *call);

/* A function: either `native` or `packed` is set. */
typedef struct {
  mtvm_native_fn native;
  TVMBackendPackedCFunc packed;
  void *object;   /* the object that a native function works on */
  uint32_t owner; /* the object's number */
} mtvm_function_t;

typedef struct {
  const char *name;
  mtvm_native_fn call;
} mtvm_named_fn_t;

/* Find a global function by name. Returns its handle; 0 when it does not exist. */
uint64_t mtvm_find_global(const char *name);

/* Find a function of a module. A null module means the global functions.
 *
 * Returns 0 with `handle` set, to 0 when the function does not exist. Returns -1 with the error set for an
 * invalid module. */
int mtvm_find_in_module(uint64_t module, const char *name, uint64_t *handle);

/* Find the function of a handle. Returns 0, or -1 with the error set. */
int mtvm_function_of(uint64_t handle, mtvm_function_t *function);

/* Call a function with the arguments in `call`. Returns 0, or -1 with the error set. */
int mtvm_call(const mtvm_function_t *function, mtvm_call_t *call);

#endif
