/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the system library, by name and by index. */
#ifndef MTVM_REGISTRY_H
#define MTVM_REGISTRY_H

#include <stddef.h>
#include <tvm/runtime/c_backend_api.h>

/* Number of functions. */
size_t mtvm_registry_count(void);

/* Index of the function whose name is the three texts one after the other; the count when there is none. */
size_t mtvm_registry_find(const char *prefix, const char *middle, const char *suffix);

/* index < count. */
TVMBackendPackedCFunc mtvm_registry_function(size_t index);

#endif
