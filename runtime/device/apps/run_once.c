/* SPDX-License-Identifier: Apache-2.0 */
/* Standalone firmware. It runs its model once, on the input that it was built with, and prints:
 *
 *   output <name> <type> <count>: <value> <value> ...     one line for each output
 *   microseconds: <integer>
 *   outcome: 0                                            or "error: <text>" and "outcome: 1"
 *
 * main returns the outcome. */
#include "run_once.h"

#include <microtvm/app.h>
#include <microtvm/error.h>
#include <microtvm/memory.h>
#include <microtvm/platform.h>
#include <string.h>

static void put(const char *text) { (void)mtvm_platform_write((const uint8_t *)text, strlen(text)); }

void mtvm_app_say(const char *text) {
  put(text);
  put("\n");
}

static void put_unsigned(uint64_t number) {
  char digits[21];
  size_t first = sizeof digits - 1;
  digits[first] = '\0';
  do {
    digits[--first] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  put(digits + first);
}

static void put_signed(int64_t number) {
  if (number < 0) {
    put("-");
  }
  put_unsigned(number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

/* Print nine significant digits, which distinguish any two float32 values: 1.23456789e-3. */
static void put_float(double number) {
  if (number != number) {
    put("nan");
    return;
  }
  if (number < 0) {
    put("-");
    number = -number;
  }
  if (number > 1.7976931348623157e308) {
    put("inf");
    return;
  }
  int32_t exponent = 0;
  for (; number >= 10; exponent++) {
    number /= 10;
  }
  for (; number < 1 && number > 0; exponent--) {
    number *= 10;
  }
  uint32_t digits = (uint32_t)(number * 1e8 + 0.5);
  if (digits >= 1000000000u) { /* rounded up to 10.0 */
    digits /= 10;
    exponent++;
  }
  char text[12];
  for (size_t i = 10; i-- > 0;) {
    if (i == 1) {
      text[1] = '.';
    } else {
      text[i] = (char)('0' + digits % 10);
      digits /= 10;
    }
  }
  text[10] = 'e';
  text[11] = '\0';
  put(text);
  put_signed(exponent);
}

/* Return the little-endian integer at `from`, of 1 to 8 bytes, sign-extended if `is_signed`. */
static int64_t load(const uint8_t *from, size_t bytes, bool is_signed) {
  uint64_t value = is_signed && from[bytes - 1] > 127 ? UINT64_MAX : 0;
  for (size_t i = bytes; i-- > 0;) {
    value = value << 8 | from[i];
  }
  return (int64_t)value;
}

/* Return a float16 as the bits of a float32. */
static uint32_t widen_half(uint32_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  uint32_t exponent = half >> 10 & 31u;
  uint32_t fraction = half & 0x3ffu;
  if (exponent == 31) { /* infinity or NaN */
    return sign | 0x7f800000u | fraction << 13;
  }
  if (exponent == 0 && fraction == 0) {
    return sign;
  }
  exponent += 127 - 15;
  if (exponent == 127 - 15) { /* shift a subnormal number until it has a leading one */
    exponent++;
    for (; (fraction & 0x400u) == 0; exponent--) {
      fraction <<= 1;
    }
  }
  return sign | exponent << 23 | (fraction & 0x3ffu) << 13;
}

static double load_float(const uint8_t *from, DLDataType dtype) {
  uint32_t bits = (uint32_t)load(from, dtype.bits / 8u < 4 ? dtype.bits / 8u : 4, false);
  if (dtype.bits == 64) {
    double value;
    memcpy(&value, from, sizeof value);
    return value;
  }
  if (dtype.bits == 16) { /* a bfloat16 is the upper half of a float32 */
    bits = dtype.code == kDLBfloat ? bits << 16 : widen_half(bits);
  }
  float single;
  memcpy(&single, &bits, sizeof single);
  return (double)single;
}

static void put_value(const uint8_t *from, DLDataType dtype) {
  const size_t bytes = (dtype.bits + 7u) / 8u;
  if (dtype.code == kDLFloat || dtype.code == kDLBfloat) {
    put_float(load_float(from, dtype));
  } else if (dtype.code == kDLInt) {
    put_signed(load(from, bytes, true));
  } else {
    put_unsigned((uint64_t)load(from, bytes, false));
  }
}

static void put_type(DLDataType dtype) {
  static const char *const names[] = {"int", "uint", "float", "handle", "bfloat"};
  put(dtype.code <= kDLBfloat ? names[dtype.code] : "type");
  put_unsigned(dtype.bits);
}

static void put_tensor(const char *name, const mtvm_model_tensor_t *tensor) {
  const size_t bytes = (tensor->dtype.bits + 7u) / 8u;
  put("output ");
  put(name);
  put(" ");
  put_type(tensor->dtype);
  put(" ");
  put_unsigned(tensor->nbytes / bytes);
  put(":");
  for (size_t at = 0; at + bytes <= tensor->nbytes; at += bytes) {
    put(" ");
    put_value((const uint8_t *)tensor->data + at, tensor->dtype);
  }
  put("\n");
}

static int fail(const char *what, const char *detail) {
  put("error: ");
  put(what);
  put(detail);
  put("\noutcome: 1\n");
  return 1;
}

int mtvm_run_once(void) {
  if (TVMPlatformInitialize() != kTvmErrorNoError) {
    TVMPlatformAbort(kTvmErrorPlatformCheckFailure);
  }
  if (mtvm_memory_init(mtvm_workspace, mtvm_workspace_size) != 0 || mtvm_model_open() != 0) {
    return fail("the model cannot be opened: ", mtvm_error_text());
  }
  mtvm_model_tensor_t tensor;
  for (size_t i = 0; mtvm_model_input(i, &tensor); i++) {
    if (i >= mtvm_sample_count) {
      return fail("model_input.c has fewer inputs than the model", "");
    }
    if (strcmp(mtvm_samples[i].name, mtvm_input_names[i]) != 0) {
      return fail("model_input.c has its inputs in the wrong order: expected here ", mtvm_input_names[i]);
    }
    if (mtvm_samples[i].nbytes != tensor.nbytes) {
      return fail("model_input.c has data of the wrong size for input ", mtvm_input_names[i]);
    }
    memcpy(tensor.data, mtvm_samples[i].data, tensor.nbytes);
  }
  (void)TVMPlatformTimerStart();
  const int failed = mtvm_model_run();
  double seconds = 0;
  (void)TVMPlatformTimerStop(&seconds);
  if (failed != 0) {
    return fail("the model failed: ", mtvm_error_text());
  }
  for (size_t i = 0; mtvm_model_output(i, &tensor); i++) {
    put_tensor(mtvm_output_names[i], &tensor);
  }
  put("microseconds: ");
  put_unsigned((uint64_t)(seconds * 1e6));
  put("\noutcome: 0\n");
  return 0;
}
