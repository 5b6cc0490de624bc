/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that the host can call: the runtime's own, those of the system library and of executors, and
 * those the firmware registers. */
#ifndef MTVM_FUNCTIONS_H
#define MTVM_FUNCTIONS_H

#include <tvm/runtime/c_backend_api.h>

#include "packed.h"

typedef int (*mtvm_native_fn)(mtvm_call_t *call);

/* One of both is set. */
typedef struct {
  mtvm_native_fn native;
  TVMBackendPackedCFunc packed;
  void *object;   /* what a native function of an object works on */
  uint32_t owner; /* the object's number */
} mtvm_function_t;

typedef struct {
  const char *name;
  mtvm_native_fn call;
} mtvm_named_fn_t;

/* A global function by name; 0 when there is none. */
uint64_t mtvm_find_global(const char *name);

/* A function of a module, which may be null for a global one; 0 when there is none, -1 with the error set. */
int mtvm_find_in_module(uint64_t module, const char *name, uint64_t *handle);

/* What a handle stands for. */
int mtvm_function_of(uint64_t handle, mtvm_function_t *function);

/* Call it. 0, or -1 with the error set. */
int mtvm_call(const mtvm_function_t *function, mtvm_call_t *call);

#endif
