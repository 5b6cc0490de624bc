/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <stdbool.h>
#include <string.h>

#include "error.h"
#include "tensor.h"

/* Marsaglia's xorshift: small, and good enough to keep a multiplier busy. */
static uint32_t next(uint32_t state) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

/* Bits of 1.0 in a floating point type, and those of its fraction; false for a type of no such kind. */
static bool float_bits(DLDataType dtype, uint64_t *one, uint64_t *fraction) {
  if (dtype.code == kDLBfloat && dtype.bits == 16) {
    *one = 0x3f80;
    *fraction = 0x007f;
  } else if (dtype.code == kDLFloat && dtype.bits == 16) {
    *one = 0x3c00;
    *fraction = 0x03ff;
  } else if (dtype.code == kDLFloat && dtype.bits == 32) {
    *one = 0x3f800000;
    *fraction = 0x007fffff;
  } else if (dtype.code == kDLFloat && dtype.bits == 64) {
    *one = (uint64_t)0x3ff00000 << 32;
    *fraction = (uint64_t)0x000fffff << 32 | 0xffffffffu;
  } else {
    return false;
  }
  return true;
}

static int element_bits(DLDataType dtype, uint64_t *one, uint64_t *fraction) {
  *one = 0;
  if (dtype.code == kDLInt || dtype.code == kDLUInt) {
    *fraction = dtype.bits >= 8 ? 0x7f : (1u << dtype.bits) - 1;
    return 0;
  }
  if (float_bits(dtype, one, fraction)) {
    return 0;
  }
  return mtvm_error("random_fill: data type with code %d and %d bits is not known", "", dtype.code, dtype.bits);
}

int mtvm_random_fill(mtvm_call_t *call) {
  const DLTensor *tensor;
  uint64_t nbytes;
  uint64_t one;
  uint64_t fraction;
  uint32_t state = 2463534242u;
  uint8_t *to;
  size_t size;
  if (mtvm_want_arguments(call, "t") != 0) {
    return -1;
  }
  tensor = call->values[0].v_handle;
  if (mtvm_tensor_check(tensor) != 0 || mtvm_tensor_bytes(tensor, &nbytes) != 0 ||
      element_bits(tensor->dtype, &one, &fraction) != 0) {
    return -1;
  }
  size = (tensor->dtype.bits + 7u) / 8u;
  if (size > sizeof one) {
    return mtvm_error("random_fill: want at most 64 bits an element, got %d", "", tensor->dtype.bits, 0);
  }
  to = (uint8_t *)tensor->data + tensor->byte_offset;
  for (; nbytes >= size; nbytes -= size) {
    uint64_t element;
    state = next(state);
    element = one | (((uint64_t)state << 32 | state) & fraction);
    memcpy(to, &element, size);
    to += size;
  }
  return 0;
}
