/* SPDX-License-Identifier: Apache-2.0 */
#include "globals.h"

#include <microtvm/config.h>
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

const char *mtvm_global_name(size_t index) { return globals[index].name; }

int TVMFuncRegisterGlobal(const char *name, TVMFunctionHandle function, int override) {
  const size_t index = mtvm_global_find(name);
  if (index < count && !override) {
    return mtvm_error("function \"%s\" is registered already", name, 0, 0);
  }
  if (index == MTVM_MAX_GLOBALS) {
    return mtvm_error("function \"%s\": want at most %d registered ones", name, MTVM_MAX_GLOBALS, 0);
  }
  globals[index].name = name;
  globals[index].function = (TVMBackendPackedCFunc)(uintptr_t)function;
  count += index == count ? 1 : 0;
  return 0;
}

int TVMFuncGetGlobal(const char *name, TVMFunctionHandle *function) {
  const size_t index = mtvm_global_find(name);
  if (index == count) {
    return mtvm_error("there is no function \"%s\"", name, 0, 0);
  }
  *function = (TVMFunctionHandle)(uintptr_t)globals[index].function;
  return 0;
}
