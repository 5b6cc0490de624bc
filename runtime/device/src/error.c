/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <tvm/runtime/c_runtime_api.h>

static char last_error[MTVM_ERROR_BYTES];

const char *mtvm_error_text(void) { return last_error; }

void mtvm_error_clear(void) { last_error[0] = '\0'; }

static size_t put_text(size_t at, const char *text) {
  while (*text != '\0' && at + 1 < sizeof last_error) {
    last_error[at++] = *text++;
  }
  return at;
}

static size_t put_number(size_t at, uint64_t number, bool hex) {
  char digits[19]; /* 0x and 16 digits */
  size_t first = sizeof digits - 1;
  bool minus = false;
  digits[first] = '\0';
  if (!hex && number >> 63 != 0) {
    minus = true;
    number = 0 - number;
  }
  if (!hex && number >> 32 == 0) { /* decimal only where it needs no 64-bit division */
    uint32_t rest = (uint32_t)number;
    do {
      digits[--first] = (char)('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
  } else {
    do {
      digits[--first] = "0123456789abcdef"[number & 15];
      number >>= 4;
    } while (number != 0);
    digits[--first] = 'x';
    digits[--first] = '0';
  }
  at = minus ? put_text(at, "-") : at;
  return put_text(at, digits + first);
}

int mtvm_error(const char *text, const char *name, uint64_t first, uint64_t second) {
  size_t at = 0;
  for (; *text != '\0' && at + 1 < sizeof last_error; text++) {
    if (*text != '%') {
      last_error[at++] = *text;
      continue;
    }
    text++;
    if (*text == 's') {
      at = put_text(at, name);
    } else {
      at = put_number(at, first, *text == 'x');
      first = second;
    }
  }
  last_error[at] = '\0';
  return -1;
}

void TVMAPISetLastError(const char *text) { last_error[put_text(0, text)] = '\0'; }

const char *TVMGetLastError(void) { return last_error; }
