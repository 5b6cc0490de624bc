/* SPDX-License-Identifier: Apache-2.0 */
/* What the integer kernels share. compile puts this file and the kernels that a model needs into the model's C
 * file, so that everything is static.
 *
 * Elements are 8 bits. The kernels compute with signed ones: an unsigned element x is x ^ 0x80 for them, which is
 * x - 128, and bias, zero points and limits are given for that (`flip`).
 *
 * There is assembler for processors with Thumb-2, where those with the DSP extension multiply two pairs of int16 at a
 * time. On others, and with MTVM_PORTABLE, everything is plain C with equal results. */
#include <stdint.h>
#include <string.h>

#if defined(__thumb2__) && !defined(MTVM_PORTABLE)
#define MTVM_THUMB2 1
#else
#define MTVM_THUMB2 0
#endif
#if MTVM_THUMB2 && defined(__ARM_FEATURE_DSP)
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
#else
MTVM_INLINE int32_t mtvm_high(int32_t x, int32_t y, int32_t sum) { return (int32_t)(((int64_t)x * y) >> 32) + sum; }
#endif

/* The element for a sum with its bias. The callers pass a copy of the constants, which stores to y cannot change. */
MTVM_INLINE uint8_t mtvm_rescaled(const mtvm_rescale_t rescale, int32_t sum, int32_t multiplier, uint32_t before) {
  const int32_t shifted = (int32_t)((uint32_t)sum << before);
  const int32_t value = mtvm_high(shifted, multiplier, rescale.offset) >> rescale.shift;
  const int32_t limited = value < rescale.lowest ? rescale.lowest : value;
  return (uint8_t)((limited > rescale.highest ? rescale.highest : limited) ^ rescale.flip);
}

MTVM_INLINE uint32_t mtvm_before(const mtvm_rescale_t *rescale, int32_t channel) {
  return rescale->befores == 0 ? rescale->before : rescale->befores[channel];
}

/* Whether the assembler makes the result: it is signed, has all values of an int8, and one `before`. */
MTVM_INLINE int mtvm_is_plain(const mtvm_rescale_t *rescale) {
  return rescale->befores == 0 && rescale->flip == 0 && rescale->lowest == -128 && rescale->highest == 127;
}

enum { MTVM_POSITIONS = 4 }; /* that a convolution computes at a time */

/* Elements of up to four positions of a channel. */
MTVM_INLINE void mtvm_store(const mtvm_rescale_t rescale, const int32_t *sums, int32_t multiplier, uint32_t before,
                            uint8_t *y, int32_t distance, int32_t positions) {
  for (int32_t at = 0; at < positions; at++, y += distance) {
    *y = mtvm_rescaled(rescale, sums[at], multiplier, before);
  }
}

/* Four elements in assembler. r0 y, r2 multiplier, r3 offset, r12 shift, lr `before`, which is lost. */
#if MTVM_DSP
#define MTVM_STORE(sum, place) \
  "smmla " sum ", " sum        \
  ", r2, r3\n"                 \
  "asr " sum ", " sum          \
  ", r12\n"                    \
  "ssat " sum ", #8, " sum     \
  "\n"                         \
  "strb " sum ", [r0, #" place "]\n"
#else
#define MTVM_STORE(sum, place) \
  "smull lr, " sum ", " sum    \
  ", r2\n"                     \
  "add " sum ", " sum          \
  ", r3\n"                     \
  "asr " sum ", " sum          \
  ", r12\n"                    \
  "ssat " sum ", #8, " sum     \
  "\n"                         \
  "strb " sum ", [r0, #" place "]\n"
#endif
#define MTVM_STORE4(a, b, c, d) \
  "lsl " a ", " a               \
  ", lr\n"                      \
  "lsl " b ", " b               \
  ", lr\n"                      \
  "lsl " c ", " c               \
  ", lr\n"                      \
  "lsl " d ", " d ", lr\n" MTVM_STORE(a, "0") MTVM_STORE(b, "1") MTVM_STORE(c, "2") MTVM_STORE(d, "3")

/* Multiplications in assembler: a word of weights times the pairs of four positions at r0 + first and r0 + second.
 * r1 weights, r4-r7 sums of the first channel, r8-r11 of the second; r2, r3, r12 and lr are lost. 13 instructions for
 * 16 multiplications with the DSP extension, 28 without it; GCC 12 makes 19 and 34 of the C. */
#if MTVM_DSP
#define MTVM_TAP(first, second) \
  "ldr r3, [r1], #4\n"          \
  "ldrd r12, lr, [r0, #" first  \
  "]\n"                         \
  "sxtb16 r2, r3\n"             \
  "sxtb16 r3, r3, ror #8\n"     \
  "smlad r4, r2, r12, r4\n"     \
  "smlad r5, r2, lr, r5\n"      \
  "smlad r8, r3, r12, r8\n"     \
  "smlad r9, r3, lr, r9\n"      \
  "ldrd r12, lr, [r0, #" second \
  "]\n"                         \
  "smlad r6, r2, r12, r6\n"     \
  "smlad r7, r2, lr, r7\n"      \
  "smlad r10, r3, r12, r10\n"   \
  "smlad r11, r3, lr, r11\n"
#else
#define MTVM_MLA2(x, a, b) \
  "ldrsh r12, [r0, #" x    \
  "]\n"                    \
  "mla " a ", r2, r12, " a \
  "\n"                     \
  "mla " b ", r3, r12, " b "\n"
#define MTVM_TAP(first, second) \
  "ldrsb r2, [r1], #1\n"                \
  "ldrsb r3, [r1], #1\n"                \
  MTVM_MLA2(first, "r4", "r8")          \
  MTVM_MLA2(first "+4", "r5", "r9")     \
  MTVM_MLA2(second, "r6", "r10")        \
  MTVM_MLA2(second "+4", "r7", "r11")   \
  "ldrsb r2, [r1], #1\n"                \
  "ldrsb r3, [r1], #1\n"                \
  MTVM_MLA2(first "+2", "r4", "r8")     \
  MTVM_MLA2(first "+6", "r5", "r9")     \
  MTVM_MLA2(second "+2", "r6", "r10")   \
  MTVM_MLA2(second "+6", "r7", "r11")
#endif
