/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the system library, by name and by index. */
#ifndef MTVM_REGISTRY_H
#define MTVM_REGISTRY_H

#include <stddef.h>
#include <tvm/runtime/c_backend_api.h>

/* Return the number of functions. */
size_t mtvm_registry_count(void);

/* Find the function whose name is the concatenation of three strings. Returns its index;
 * mtvm_registry_count() when it does not exist. */
size_t mtvm_registry_find(const char *prefix, const char *middle, const char *suffix);

/* Return the function with this index. `index` < mtvm_registry_count(). */
TVMBackendPackedCFunc mtvm_registry_function(size_t index);

#endif
