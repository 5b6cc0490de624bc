/* SPDX-License-Identifier: Apache-2.0 */
/* Look-up of functions by name for generated code. In a separate file, because firmware without a system
 * library (the C interface) must link without registry.c. */
#include <microtvm/function_handle.h>

#include "globals.h"
#include "registry.h"

int TVMBackendGetFuncFromEnv(void *module, const char *name, TVMFunctionHandle *out) {
  const size_t index = mtvm_registry_find(name, "", "");
  (void)module;
  if (index < mtvm_registry_count()) {
    *out = mtvm_to_handle(mtvm_registry_function(index));
    return 0;
  }
  return TVMFuncGetGlobal(name, out);
}
