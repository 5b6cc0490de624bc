/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <stdbool.h>
#include <string.h>
#include <tvm/runtime/crt/module.h>

static const TVMFuncRegistry *registry(void) { return TVMSystemLibEntryPoint()->registry; }

/* Return the first name, and set `count`, which has one byte (TVM 0.8) or two. The byte after a count of one
 * byte begins a C name: a letter or an underscore. As a high byte it would mean at least 16,640 functions. */
static const char *first_name(size_t *count) {
  const uint8_t *names = (const uint8_t *)registry()->names;
  *count = names[0];
  if (names[1] >= 'A') {
    return (const char *)names + 1;
  }
  *count += (size_t)names[1] << 8;
  /* No functions and a count of one byte: the string ends after its terminator. */
  return *count == 0 ? (const char *)names : (const char *)names + 2;
}

size_t mtvm_registry_count(void) {
  size_t count;
  (void)first_name(&count);
  return count;
}

/* Return the part of `text` after the prefix `part`; NULL when `text` does not begin with it. */
static const char *after(const char *text, const char *part) {
  const size_t n = strlen(part);
  return strncmp(text, part, n) == 0 ? text + n : NULL;
}

static bool is_name(const char *name, const char *const parts[3]) {
  for (size_t i = 0; i < 3 && name != NULL; i++) {
    name = after(name, parts[i]);
  }
  return name != NULL && *name == '\0';
}

size_t mtvm_registry_find(const char *prefix, const char *middle, const char *suffix) {
  const char *const parts[3] = {prefix, middle, suffix};
  size_t count;
  const char *name = first_name(&count);
  size_t index = 0;
  while (index < count && !is_name(name, parts)) {
    name += strlen(name) + 1;
    index++;
  }
  return index;
}

TVMBackendPackedCFunc mtvm_registry_function(size_t index) { return registry()->funcs[index]; }
