/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <string.h>

#include "error.h"
#include "tensor.h"

/* Floating point types: the fixed and the random bits of their two upper bytes. The fixed bits are the
 * exponent of 1.0. */
static const struct {
  uint8_t code;
  uint8_t bytes;
  uint16_t fixed;
  uint16_t chance;
} types[] = {
    {kDLFloat, 2, 0x3c00, 0x03ff},
    {kDLFloat, 4, 0x3f80, 0x007f},
    {kDLFloat, 8, 0x3ff0, 0x000f},
    {kDLBfloat, 2, 0x3f80, 0x007f},
};
#define TYPES (sizeof types / sizeof types[0])

/* Marsaglia's xorshift: small, and random enough for measurements of multiplications. */
static uint32_t next(uint32_t state) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^ state << 5;
}

static void fill_floats(uint8_t *to, size_t nbytes, size_t type) {
  const size_t size = types[type].bytes;
  uint32_t state = 1;
  for (size_t i = 0; i + size <= nbytes; i += size) {
    for (size_t j = 0; j < size - 2; j++) {
      state = next(state);
      to[i + j] = (uint8_t)state;
    }
    state = next(state);
    const uint32_t top = types[type].fixed | (state & types[type].chance);
    to[i + size - 2] = (uint8_t)top;
    to[i + size - 1] = (uint8_t)(top >> 8);
  }
}

static void fill_integers(uint8_t *to, size_t nbytes, uint32_t bits) {
  const size_t size = (bits + 7) / 8;
  const uint8_t chance = (uint8_t)(bits >= 8 ? 0x7f : (1u << bits) - 1);
  uint32_t state = 1;
  memset(to, 0, nbytes);
  for (size_t i = 0; i < nbytes; i += size) {
    state = next(state);
    to[i] = (uint8_t)(state & chance);
  }
}

int mtvm_random_fill(mtvm_call_t *call) {
  if (mtvm_want_arguments(call, "t") != 0) {
    return -1;
  }
  const DLTensor *tensor = call->values[0].v_handle;
  size_t nbytes;
  uint8_t *to = mtvm_tensor_elements(tensor, &nbytes);
  if (to == NULL) {
    return -1;
  }
  if (tensor->dtype.code <= kDLUInt && tensor->dtype.bits > 0) {
    fill_integers(to, nbytes, tensor->dtype.bits);
    return 0;
  }
  size_t type = 0;
  while (type < TYPES && (types[type].code != tensor->dtype.code || types[type].bytes * 8u != tensor->dtype.bits)) {
    type++;
  }
  if (type == TYPES) {
    return mtvm_error_hex("unknown data type, code and bits",
                          (uintptr_t)tensor->dtype.code << 8 | tensor->dtype.bits);
  }
  fill_floats(to, nbytes, type);
  return 0;
}
