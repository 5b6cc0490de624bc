/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that the firmware registered with TVMFuncRegisterGlobal. */
#ifndef MTVM_GLOBALS_H
#define MTVM_GLOBALS_H

#include <stddef.h>
#include <tvm/runtime/c_backend_api.h>

/* Return the number of functions. */
size_t mtvm_global_count(void);

/* Find a function by name. Returns its index; mtvm_global_count() when it does not exist. */
size_t mtvm_global_find(const char *name);

/* Return the function with this index. `index` < mtvm_global_count(). */
TVMBackendPackedCFunc mtvm_global_function(size_t index);

#endif
