/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <microtvm/config.h>
#include <stddef.h>
#include <tvm/runtime/c_runtime_api.h>

static char last_error[MTVM_ERROR_BYTES];
static size_t length;

const char *mtvm_error_text(void) { return last_error; }

void mtvm_error_clear(void) {
  length = 0;
  last_error[0] = '\0';
}

static void add_byte(char byte) {
  if (length + 1 < sizeof last_error) {
    last_error[length++] = byte;
    last_error[length] = '\0';
  }
}

void mtvm_error_add(const char *text) {
  while (*text != '\0') {
    add_byte(*text++);
  }
}

int mtvm_fail(const char *text) {
  mtvm_error_clear();
  mtvm_error_add(text);
  return -1;
}

static void add_number(uintptr_t number, unsigned base) {
  char digits[sizeof number * 3]; /* enough for base 10 and base 16 */
  size_t first = sizeof digits;
  do {
    digits[--first] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number != 0);
  while (first < sizeof digits) {
    add_byte(digits[first++]);
  }
}

static void add_signed(intptr_t number) {
  if (number < 0) {
    add_byte('-');
  }
  add_number(number < 0 ? (uintptr_t)0 - (uintptr_t)number : (uintptr_t)number, 10);
}

int mtvm_error(const char *text, const char *name) {
  mtvm_error_clear();
  while (*text != '\0') {
    if (text[0] == '%' && text[1] == 's') {
      mtvm_error_add(name);
      text += 2;
    } else {
      add_byte(*text++);
    }
  }
  return -1;
}

int mtvm_error_hex(const char *text, uintptr_t value) {
  (void)mtvm_fail(text);
  mtvm_error_add(" 0x");
  add_number(value, 16);
  return -1;
}

static int compare(const char *what, const char *relation, intptr_t want, intptr_t got) {
  (void)mtvm_fail(what);
  mtvm_error_add(": expected ");
  mtvm_error_add(relation);
  add_signed(want);
  mtvm_error_add(", got ");
  add_signed(got);
  return -1;
}

int mtvm_want(const char *what, intptr_t want, intptr_t got) { return compare(what, "", want, got); }

int mtvm_at_most(const char *what, intptr_t most, intptr_t got) { return compare(what, "at most ", most, got); }

int mtvm_at_least(const char *what, intptr_t least, intptr_t got) { return compare(what, "at least ", least, got); }

intptr_t mtvm_clip(int64_t value) {
  if (value > INTPTR_MAX) {
    return INTPTR_MAX;
  }
  return value < INTPTR_MIN ? INTPTR_MIN : (intptr_t)value;
}

void TVMAPISetLastError(const char *text) { (void)mtvm_fail(text); }

const char *TVMGetLastError(void) { return last_error; }
