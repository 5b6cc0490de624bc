/* SPDX-License-Identifier: Apache-2.0 */
#include "globals.h"

#include <microtvm/config.h>
#include <microtvm/function_handle.h>
#include <string.h>

#include "error.h"

static struct {
  const char *name;
  TVMBackendPackedCFunc function;
} globals[MTVM_MAX_GLOBALS];
static size_t count;

size_t mtvm_global_count(void) { return count; }

size_t mtvm_global_find(const char *name) {
  size_t index = 0;
  while (index < count && strcmp(globals[index].name, name) != 0) {
    index++;
  }
  return index;
}

TVMBackendPackedCFunc mtvm_global_function(size_t index) { return globals[index].function; }

int TVMFuncRegisterGlobal(const char *name, TVMFunctionHandle function, int override) {
  const size_t index = mtvm_global_find(name);
  if (index < count && !override) {
    return mtvm_error("%s is already registered", name);
  }
  if (index == MTVM_MAX_GLOBALS) {
    return mtvm_at_most("registered functions", MTVM_MAX_GLOBALS, MTVM_MAX_GLOBALS + 1);
  }
  globals[index].name = name;
  globals[index].function = mtvm_from_handle(function);
  if (index == count) {
    count++;
  }
  return 0;
}

int TVMFuncGetGlobal(const char *name, TVMFunctionHandle *function) {
  const size_t index = mtvm_global_find(name);
  if (index == count) {
    return mtvm_error("no function %s", name);
  }
  *function = mtvm_to_handle(globals[index].function);
  return 0;
}
