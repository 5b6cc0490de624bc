/* SPDX-License-Identifier: Apache-2.0 */
/* Product of a matrix of weights and a vector.
 *
 * Four outputs are computed at a time. A word of weights has four elements of one output:
 *
 *   weights   k0,k1,k2,k3 of outputs 0, 1, 2, 3 | k4,k5,k6,k7 of outputs 0, 1, 2, 3 | ...
 *
 * SXTB16 widens it to the pairs (k0,k2) and (k1,k3). x is widened likewise: once, into memory for it
 * (mtvm_dense_wide), or for each four outputs, where that memory would be larger than x and y. */

typedef struct {
  uint16_t rows, outputs;
  int32_t inputs;
  uint8_t flip; /* 0x80 for an unsigned x */
  mtvm_rescale_t rescale;
} mtvm_dense_t;

enum { MTVM_OUTPUTS = 4 };

#if MTVM_THUMB2
/* A step: four elements of x, which are widened or not, and of the weights of four outputs. */
#if MTVM_DSP
#define MTVM_OUTPUT(sum, word)  \
  "sxtb16 r3, " word            \
  "\n"                          \
  "sxtb16 " word ", " word      \
  ", ror #8\n"                  \
  "smlad " sum ", r3, r8, " sum \
  "\n"                          \
  "smlad " sum ", " word ", r9, " sum "\n"
#define MTVM_OUTPUT4                                                                                          \
  "ldm r1!, {r10, r11, r12, lr}\n" MTVM_OUTPUT("r4", "r10") MTVM_OUTPUT("r5", "r11") MTVM_OUTPUT("r6", "r12") \
      MTVM_OUTPUT("r7", "lr")
#define MTVM_WIDE "ldrd r8, r9, [r0], #8\n" MTVM_OUTPUT4
#define MTVM_NARROW    \
  "ldr r9, [r0], #4\n" \
  "sxtb16 r8, r9\n"    \
  "sxtb16 r9, r9, ror #8\n" MTVM_OUTPUT4
#else
#define MTVM_OUTPUT(sum)        \
  "ldrsb r12, [r1], #1\n"       \
  "ldrsb lr, [r1], #1\n"        \
  "mla " sum ", r12, r8, " sum  \
  "\n"                          \
  "mla " sum ", lr, r9, " sum   \
  "\n"                          \
  "ldrsb r12, [r1], #1\n"       \
  "ldrsb lr, [r1], #1\n"        \
  "mla " sum ", r12, r10, " sum \
  "\n"                          \
  "mla " sum ", lr, r11, " sum "\n"
#define MTVM_OUTPUT4 MTVM_OUTPUT("r4") MTVM_OUTPUT("r5") MTVM_OUTPUT("r6") MTVM_OUTPUT("r7")
#define MTVM_WIDE         \
  "ldrsh r8, [r0], #2\n"  \
  "ldrsh r10, [r0], #2\n" \
  "ldrsh r9, [r0], #2\n"  \
  "ldrsh r11, [r0], #2\n" MTVM_OUTPUT4
#define MTVM_NARROW       \
  "ldrsb r8, [r0], #1\n"  \
  "ldrsb r9, [r0], #1\n"  \
  "ldrsb r10, [r0], #1\n" \
  "ldrsb r11, [r0], #1\n" MTVM_OUTPUT4
#endif
/* What the loops over groups of four outputs take, at fixed distances from the stack pointer. */
typedef struct {
  const void *x;
  const mtvm_channel_t *channels;
  uint8_t *y;
  int32_t words; /* of x, and of the weights of one output */
  int32_t groups;
  int32_t offset, shift, before;
} mtvm_dense_groups_t;

#if MTVM_DSP
#define MTVM_RESCALE(sum) "smmla " sum ", " sum ", r3, r8\n"
#else
#define MTVM_RESCALE(sum) "smull r2, " sum ", " sum ", r3\n add " sum ", r8\n"
#endif
#define MTVM_ELEMENT(sum, at)                                              \
  "ldr r3, [r12, #" at                                                     \
  "]\n"                                                                    \
  "lsl " sum ", " sum ", r10\n" MTVM_RESCALE(sum) "asr " sum ", " sum      \
                                                  ", r9\n"                 \
                                                  "ssat " sum ", #8, " sum \
                                                  "\n"                     \
                                                  "strb " sum ", [lr], #1\n"
/* r0 x, r1 weights, r2 words left, r4-r7 sums. Two steps are written out; an odd number enters in the middle. */
#define MTVM_DENSE_GROUPS(step) \
  "push {r4-r11, lr}\n"                                                                                        \
  "sub sp, #32\n"                                                                                              \
  "ldm r0, {r2-r9}\n"                                                                                          \
  "stm sp, {r2-r9}\n"                                                                                          \
  "3: ldr r12, [sp, #4]\n"                                                                                     \
  "ldr r0, [sp]\n"                                                                                             \
  "ldr r2, [sp, #12]\n"                                                                                        \
  "ldr r4, [r12], #8\n"                                                                                        \
  "ldr r5, [r12], #8\n"                                                                                        \
  "ldr r6, [r12], #8\n"                                                                                        \
  "ldr r7, [r12], #8\n"                                                                                        \
  "str r12, [sp, #4]\n"                                                                                        \
  "tst r2, #1\n"                                                                                               \
  "add r2, r2, #1\n"                                                                                           \
  "bne 1f\n"                                                                                                   \
  "sub r2, r2, #1\n"                                                                                           \
  "0:\n" step "1:\n" step                                                                                      \
  "subs r2, r2, #2\n"                                                                                          \
  "bne 0b\n"                                                                                                   \
  "ldr r12, [sp, #4]\n"                                                                                        \
  "ldr lr, [sp, #8]\n"                                                                                         \
  "ldr r8, [sp, #20]\n"                                                                                        \
  "ldrd r9, r10, [sp, #24]\n" MTVM_ELEMENT("r4", "-28") MTVM_ELEMENT("r5", "-20") MTVM_ELEMENT("r6", "-12")    \
      MTVM_ELEMENT("r7", "-4")                                                                                 \
  "str lr, [sp, #8]\n"                                                                                         \
  "ldr r2, [sp, #16]\n"                                                                                        \
  "subs r2, r2, #1\n"                                                                                          \
  "str r2, [sp, #16]\n"                                                                                        \
  "bne 3b\n"                                                                                                   \
  "add sp, #32\n"                                                                                              \
  "pop {r4-r11, pc}\n"

/* Groups of four outputs, where the result is plain and all channels have one `before`: 18 instructions for 16
 * multiplications with the DSP extension and x widened, 20 otherwise, and 36 without the extension. */
__attribute__((naked, noinline, unused)) static void mtvm_dense_groups_wide(const mtvm_dense_groups_t *groups,
                                                                            const int8_t *weights) {
  __asm__ volatile(MTVM_DENSE_GROUPS(MTVM_WIDE));
}

__attribute__((naked, noinline, unused)) static void mtvm_dense_groups(const mtvm_dense_groups_t *groups,
                                                                       const int8_t *weights) {
  __asm__ volatile(MTVM_DENSE_GROUPS(MTVM_NARROW));
}
#endif

/* The sums of four outputs. The C for the last outputs, and for processors without the DSP extension. */
MTVM_KERNEL void mtvm_dense_sums(const uint8_t *x, const int8_t *weights, int32_t words, int32_t *sums) {
  int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
  for (; words > 0; words--, x += 4, weights += 16) {
    const int32_t x0 = (int8_t)x[0], x1 = (int8_t)x[1], x2 = (int8_t)x[2], x3 = (int8_t)x[3];
    a += weights[0] * x0 + weights[1] * x1 + weights[2] * x2 + weights[3] * x3;
    b += weights[4] * x0 + weights[5] * x1 + weights[6] * x2 + weights[7] * x3;
    c += weights[8] * x0 + weights[9] * x1 + weights[10] * x2 + weights[11] * x3;
    d += weights[12] * x0 + weights[13] * x1 + weights[14] * x2 + weights[15] * x3;
  }
  sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

MTVM_KERNEL void mtvm_dense_sums_wide(const int16_t *x, const int8_t *weights, int32_t words, int32_t *sums) {
  int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
  for (; words > 0; words--, x += 4, weights += 16) {
    const int32_t x0 = x[0], x1 = x[2], x2 = x[1], x3 = x[3];
    a += weights[0] * x0 + weights[1] * x1 + weights[2] * x2 + weights[3] * x3;
    b += weights[4] * x0 + weights[5] * x1 + weights[6] * x2 + weights[7] * x3;
    c += weights[8] * x0 + weights[9] * x1 + weights[10] * x2 + weights[11] * x3;
    d += weights[12] * x0 + weights[13] * x1 + weights[14] * x2 + weights[15] * x3;
  }
  sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

MTVM_INLINE void mtvm_dense_store(const mtvm_dense_t *p, const int32_t *sums, const mtvm_channel_t *channels,
                                  int32_t first, uint8_t *y) {
  const mtvm_rescale_t rescale = p->rescale;
  for (int32_t at = 0; at < MTVM_OUTPUTS && first + at < p->outputs; at++) {
    y[first + at] = mtvm_rescaled(rescale, sums[at], channels[at].multiplier, mtvm_before(&rescale, first + at));
  }
}

/* Compute a row of y from a multiple of four elements of x, signed ones. `is_wide`: they are widened. */
MTVM_INLINE void mtvm_dense_row(const mtvm_dense_t *p, const void *x, const int8_t *weights,
                                const mtvm_channel_t *channels, uint8_t *y, int is_wide) {
  const int32_t words = (p->inputs + 3) / 4;
  int32_t first = 0;
#if MTVM_THUMB2
  if (mtvm_is_plain(&p->rescale) && p->outputs >= MTVM_OUTPUTS) {
    first = p->outputs / MTVM_OUTPUTS * MTVM_OUTPUTS;
    const mtvm_dense_groups_t groups = {
        x, channels, y, words, p->outputs / MTVM_OUTPUTS, p->rescale.offset, p->rescale.shift, p->rescale.before};
    if (is_wide) {
      mtvm_dense_groups_wide(&groups, weights);
    } else {
      mtvm_dense_groups(&groups, weights);
    }
    weights += 4 * words * first;
  }
#endif
  for (; first < p->outputs; first += MTVM_OUTPUTS, weights += 16 * words) {
    const mtvm_channel_t *channel = channels + first;
    int32_t sums[MTVM_OUTPUTS] = {channel[0].bias, channel[1].bias, channel[2].bias, channel[3].bias};
    if (is_wide) {
      mtvm_dense_sums_wide(x, weights, words, sums);
    } else {
      mtvm_dense_sums(x, weights, words, sums);
    }
    mtvm_dense_store(p, sums, channel, first, y);
  }
}

/* weights: for each four outputs: four words for each four inputs, zeros beyond the last input and output; aligned
 * to 4. channels: a multiple of four. copy: memory for x with a multiple of four elements, if x is unsigned or has
 * another number of elements; else it is not used. */
MTVM_KERNEL void mtvm_dense(const mtvm_dense_t *p, const uint8_t *x, const int8_t *weights,
                            const mtvm_channel_t *channels, uint8_t *y, uint8_t *copy) {
  const int32_t all = (p->inputs + 3) / 4 * 4;
  for (int32_t row = 0; row < p->rows; row++, x += p->inputs, y += p->outputs) {
    const uint8_t *source = x;
    if (p->flip || p->inputs != all) {
      for (int32_t at = 0; at < all; at++) {
        copy[at] = at < p->inputs ? (uint8_t)(x[at] ^ p->flip) : 0;
      }
      source = copy;
    }
    mtvm_dense_row(p, source, weights, channels, y, 0);
  }
}

/* Widen four elements: (k0,k2) and (k1,k3), as SXTB16 gives them. */
MTVM_INLINE void mtvm_dense_widen(const uint8_t *x, uint32_t flip, int16_t *wide) {
#if MTVM_DSP
  const uint32_t word = mtvm_load32(x) ^ flip;
  const uint32_t pairs[2] = {mtvm_bytes02(word), mtvm_bytes13(word)};
  memcpy(wide, pairs, sizeof pairs);
#else
  wide[0] = (int8_t)(x[0] ^ flip);
  wide[1] = (int8_t)(x[2] ^ flip);
  wide[2] = (int8_t)(x[1] ^ flip);
  wide[3] = (int8_t)(x[3] ^ flip);
#endif
}

/* As mtvm_dense. wide: memory for two bytes for each of a multiple of four elements, aligned to 4. */
MTVM_KERNEL void mtvm_dense_wide(const mtvm_dense_t *p, const uint8_t *x, const int8_t *weights,
                                 const mtvm_channel_t *channels, uint8_t *y, int16_t *wide) {
  const uint32_t flip = p->flip * 0x01010101u;
  for (int32_t row = 0; row < p->rows; row++, x += p->inputs, y += p->outputs) {
    int32_t at = 0;
    for (; at + 4 <= p->inputs; at += 4) {
      mtvm_dense_widen(x + at, flip, wide + at);
    }
    if (at < p->inputs) {
      uint8_t rest[4] = {0, 0, 0, 0};
      memcpy(rest, x + at, (size_t)(p->inputs - at)); /* the weights of the others are zero */
      mtvm_dense_widen(rest, flip, wide + at);
    }
    mtvm_dense_row(p, wide, weights, channels, y, 1);
  }
}
