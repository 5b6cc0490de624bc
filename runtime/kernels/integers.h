/* SPDX-License-Identifier: Apache-2.0 */
/* What the integer kernels share. compile puts this file and the kernels that a model needs into the model's C
 * file, so that everything is static.
 *
 * Elements are 8 bits. The kernels compute with signed ones: an unsigned element x is x ^ 0x80 for them, which is
 * x - 128, and bias, zero points and limits are given for that (`flip`).
 *
 * With MTVM_PORTABLE, or on processors without the DSP extension of Armv7E-M and Armv8-M, everything is plain C
 * with equal results. */
#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && !defined(MTVM_PORTABLE)
#define MTVM_DSP 1
#else
#define MTVM_DSP 0
#endif

#define MTVM_KERNEL __attribute__((noinline, unused)) static
#define MTVM_INLINE __attribute__((always_inline, unused)) static inline

/* How a sum becomes an element: ((((sum << before) * multiplier) >> 32) + offset) >> shift, limited. */
typedef struct {
  const uint8_t *befores; /* `before` of each channel; 0 if all are equal */
  int32_t offset;         /* rounding and zero point */
  uint8_t before;
  uint8_t shift;
  uint8_t flip; /* 0x80 for unsigned results */
  int8_t lowest;
  int8_t highest;
} mtvm_rescale_t;

/* Constants of an output channel. */
typedef struct {
  int32_t bias;
  int32_t multiplier;
} mtvm_channel_t;

MTVM_INLINE uint32_t mtvm_load32(const void *at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

#if MTVM_DSP
/* Bytes 0 and 2 of a word, as int16. */
MTVM_INLINE uint32_t mtvm_bytes02(uint32_t word) {
  uint32_t halves;
  __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(word));
  return halves;
}

/* Bytes 1 and 3 of a word, as int16. */
MTVM_INLINE uint32_t mtvm_bytes13(uint32_t word) {
  uint32_t halves;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
  return halves;
}

/* Lower halves of two words. */
MTVM_INLINE uint32_t mtvm_lower(uint32_t first, uint32_t second) {
  uint32_t halves;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(halves) : "r"(first), "r"(second));
  return halves;
}

/* Upper halves of two words. */
MTVM_INLINE uint32_t mtvm_upper(uint32_t first, uint32_t second) {
  uint32_t halves;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(halves) : "r"(second), "r"(first));
  return halves;
}

/* sum + x[0] * y[0] + x[1] * y[1] of two pairs of int16 */
MTVM_INLINE int32_t mtvm_mac2(uint32_t x, uint32_t y, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
  return result;
}

/* ((x * y) >> 32) + sum */
MTVM_INLINE int32_t mtvm_high(int32_t x, int32_t y, int32_t sum) {
  int32_t result;
  __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
  return result;
}

MTVM_INLINE int32_t mtvm_int8(int32_t value) {
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
  return result;
}
#else
MTVM_INLINE int32_t mtvm_high(int32_t x, int32_t y, int32_t sum) { return (int32_t)(((int64_t)x * y) >> 32) + sum; }

MTVM_INLINE int32_t mtvm_int8(int32_t value) { return value < -128 ? -128 : value > 127 ? 127 : value; }
#endif

/* The element for a sum with its bias. `is_plain`: the result is signed and has all values of an int8. The callers
 * pass a copy of the constants, which stores to y cannot change. */
MTVM_INLINE uint8_t mtvm_rescaled(const mtvm_rescale_t rescale, int32_t sum, int32_t multiplier, uint32_t before,
                                  int is_plain) {
  const int32_t shifted = (int32_t)((uint32_t)sum << before);
  const int32_t value = mtvm_high(shifted, multiplier, rescale.offset) >> rescale.shift;
  if (is_plain) {
    return (uint8_t)mtvm_int8(value);
  }
  const int32_t limited = value < rescale.lowest ? rescale.lowest : value;
  return (uint8_t)((limited > rescale.highest ? rescale.highest : limited) ^ rescale.flip);
}

MTVM_INLINE uint32_t mtvm_before(const mtvm_rescale_t *rescale, int32_t channel) {
  return rescale->befores == 0 ? rescale->before : rescale->befores[channel];
}

MTVM_INLINE int mtvm_is_plain(const mtvm_rescale_t *rescale) {
  return rescale->flip == 0 && rescale->lowest == -128 && rescale->highest == 127;
}
