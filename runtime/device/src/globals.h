/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that the firmware registered with TVMFuncRegisterGlobal. */
#ifndef MTVM_GLOBALS_H
#define MTVM_GLOBALS_H

#include <stddef.h>
#include <tvm/runtime/c_backend_api.h>

size_t mtvm_global_count(void);

/* The count when there is none of that name. */
size_t mtvm_global_find(const char *name);

/* index < count */
TVMBackendPackedCFunc mtvm_global_function(size_t index);

#endif
