/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with windows of three columns, whose input channels come in pairs.
 *
 * Its multiplications are those of conv.h, for two output channels and four positions at a time. But rows of x are
 * widened once, between their padding, instead of the elements below each window:
 *
 *   row of the strip   for each two input channels: (c0,c1) of column 0, 1, 2, ...
 *   weights            for each two output channels: for each row of the window, for each two input channels, for
 *                      each tap: c0,c0,c1,c1 of channels 0,1,0,1
 *
 * Four positions next to each other are four words next to each other at each tap. With a stride of two, even columns
 * come first and odd ones a `phase` later, and the middle tap, which meets the odd ones, comes last. The strip has as
 * many rows as the window: a row replaces the one that is no longer needed. */

typedef struct {
  uint16_t batches, taken, made;
  uint16_t height, width, out_height, out_width;
  uint8_t window_height, stride_y, stride_x;
  int16_t top, left; /* padding */
  int32_t phase;     /* words of the even or odd columns of a row, or of all columns with a stride of one */
  int8_t zero_point;
  uint8_t flip; /* 0x80 for an unsigned x */
  mtvm_rescale_t rescale;
} mtvm_strip_t;

enum { MTVM_STRIP_ROWS = 8 }; /* of the highest window */

/* Widen columns of two channels, from one of a phase on. */
MTVM_INLINE void mtvm_strip_widen(const uint8_t *x, const uint8_t *other, int32_t at, int32_t columns, int32_t stride,
                                  uint32_t flip, int16_t *to) {
  for (; at < columns; at += stride, to += 2) {
    to[0] = (int8_t)(x[at] ^ flip);
    to[1] = (int8_t)(other[at] ^ flip);
  }
}

/* Widen a row of x, or padding, into a row of the strip whose padding is there already. */
MTVM_KERNEL void mtvm_strip_load(const mtvm_strip_t *p, const uint8_t *x, int32_t row, int16_t *strip) {
  const int32_t stride = p->stride_x, words = stride * p->phase, area = p->height * p->width;
  const int32_t columns = p->left + p->width < words ? p->width : words - p->left;
  const uint32_t flip = p->flip;
  const int is_padding = (uint32_t)row >= p->height;
  x += row * p->width;
  for (int32_t channel = 0; channel < p->taken; channel += 2, x += 2 * area, strip += 2 * words) {
    if (is_padding) {
      for (int32_t at = 0; at < 2 * words; at++) {
        strip[at] = p->zero_point;
      }
      continue;
    }
    for (int32_t phase = 0; phase < stride; phase++) {
      int32_t at = phase < p->left ? (phase - p->left) & (stride - 1) : phase - p->left;
      int16_t *to = strip + 2 * (phase * p->phase + (at + p->left) / stride);
#if MTVM_DSP
      if (stride == 1) {
        const uint32_t flips = flip * 0x01010101u;
        for (; at + 4 <= columns; at += 4, to += 8) {
          const uint32_t a = mtvm_load32(x + at) ^ flips, b = mtvm_load32(x + area + at) ^ flips;
          const uint32_t a02 = mtvm_bytes02(a), a13 = mtvm_bytes13(a), b02 = mtvm_bytes02(b), b13 = mtvm_bytes13(b);
          const uint32_t pairs[4] = {mtvm_lower(a02, b02), mtvm_lower(a13, b13), mtvm_upper(a02, b02),
                                     mtvm_upper(a13, b13)};
          memcpy(to, pairs, sizeof pairs);
        }
      }
#endif
      if (flip) {
        mtvm_strip_widen(x, x + area, at, columns, stride, 0x80, to);
      } else {
        mtvm_strip_widen(x, x + area, at, columns, stride, 0, to);
      }
    }
  }
}

#if MTVM_THUMB2
/* What the loops over tiles take, at fixed distances from the stack pointer. */
typedef struct {
  const mtvm_channel_t *channels;
  uint8_t *y;
  int32_t y_channel, twos; /* of output channels */
  int32_t offset, shift, before;
  const int16_t *const *rows; /* of the strip, at the first position */
  int32_t row_bytes;          /* of the weights of a row of windows */
  int32_t next;               /* bytes to the next two input channels, from the last tap */
  int32_t phase;              /* bytes */
  int32_t window_height;
} mtvm_strip_tiles_t;

#define MTVM_NEXT       \
  "ldr r2, [sp, #36]\n" \
  "add r0, r0, r2\n"
#define MTVM_TAPS1 MTVM_TAP("0", "8") MTVM_TAP("4", "12") MTVM_TAP("8", "16") MTVM_NEXT
#define MTVM_TAPS2 \
  MTVM_TAP("0", "8") MTVM_TAP("4", "12")     \
  "ldr r2, [sp, #40]\n"                      \
  "add r0, r0, r2\n"                         \
  MTVM_TAP("0", "8") MTVM_NEXT
/* r0 strip, r1 weights, r4-r7 sums of the first channel, r8-r11 of the second. Two pairs of input channels are
 * written out; an odd number enters in the middle. sp + 48: next row, end of the row of weights, rows left. */
#define MTVM_STRIP_TILES(taps) \
  "push {r4-r11, lr}\n"                      \
  "sub sp, #64\n"                            \
  "mov r12, sp\n"                            \
  "ldm r0!, {r2-r9}\n"                       \
  "stm r12!, {r2-r9}\n"                      \
  "ldm r0, {r2-r5}\n"                        \
  "stm r12, {r2-r5}\n"                       \
  "8: ldr r12, [sp]\n"                       \
  "ldr r4, [r12], #8\n"                      \
  "ldr r8, [r12], #8\n"                      \
  "str r12, [sp]\n"                          \
  "ldr r2, [sp, #28]\n"                      \
  "ldr r3, [sp, #44]\n"                      \
  "mov r5, r4\n"                             \
  "mov r6, r4\n"                             \
  "mov r7, r4\n"                             \
  "mov r9, r8\n"                             \
  "mov r10, r8\n"                            \
  "mov r11, r8\n"                            \
  "str r2, [sp, #48]\n"                      \
  "str r3, [sp, #56]\n"                      \
  "7: ldr r12, [sp, #48]\n"                  \
  "ldr r2, [sp, #32]\n"                      \
  "ldr r0, [r12], #4\n"                      \
  "add r3, r2, r1\n"                         \
  "str r12, [sp, #48]\n"                     \
  "str r3, [sp, #52]\n"                      \
  "tst r2, #4\n" /* 12 bytes for two input channels */ \
  "bne 5f\n"                                 \
  "6:\n" taps "5:\n" taps                    \
  "ldr r2, [sp, #52]\n"                      \
  "cmp r1, r2\n"                             \
  "bne 6b\n"                                 \
  "ldr r2, [sp, #56]\n"                      \
  "subs r2, r2, #1\n"                        \
  "str r2, [sp, #56]\n"                      \
  "bne 7b\n"                                 \
  "ldr r12, [sp]\n"                          \
  "ldr r0, [sp, #4]\n"                       \
  "ldr r2, [r12, #-12]\n"                    \
  "ldr r3, [sp, #16]\n"                      \
  "ldrd r12, lr, [sp, #20]\n"                \
  MTVM_STORE4("r4", "r5", "r6", "r7") \
  "ldr r2, [sp]\n"                           \
  "ldr r4, [sp, #8]\n"                       \
  "ldr r2, [r2, #-4]\n"                      \
  "ldr lr, [sp, #24]\n"                      \
  "add r0, r0, r4\n"                         \
  MTVM_STORE4("r8", "r9", "r10", "r11") \
  "add r0, r0, r4\n"                         \
  "str r0, [sp, #4]\n"                       \
  "ldr r2, [sp, #12]\n"                      \
  "subs r2, r2, #1\n"                        \
  "str r2, [sp, #12]\n"                      \
  "bne 8b\n"                                 \
  "add sp, #64\n"                            \
  "pop {r4-r11, pc}\n"

/* All channels at four positions, where the result is plain and all channels have one `before`. With a stride of one
 * 85 instructions for 96 multiplications with the DSP extension, 175 without it. */
__attribute__((naked, noinline, unused)) static void mtvm_strip_tiles1(const mtvm_strip_tiles_t *tiles,
                                                                       const int8_t *weights) {
  __asm__ volatile(MTVM_STRIP_TILES(MTVM_TAPS1));
}

__attribute__((naked, noinline, unused)) static void mtvm_strip_tiles2(const mtvm_strip_tiles_t *tiles,
                                                                       const int8_t *weights) {
  __asm__ volatile(MTVM_STRIP_TILES(MTVM_TAPS2));
}
#endif

MTVM_KERNEL void mtvm_strip_sums(const mtvm_strip_t *p, const int16_t *const *rows, const int8_t *weights,
                                 int32_t *sums) {
  int32_t a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];
  int32_t b0 = sums[4], b1 = sums[5], b2 = sums[6], b3 = sums[7];
  const int32_t second = 2, third = p->stride_x == 1 ? 4 : 2 * p->phase, next = 2 * p->stride_x * p->phase;
  for (int32_t tap = 0; tap < 3 * p->window_height; tap++) {
    const int16_t *x = rows[tap / 3] + (tap % 3 == 0 ? 0 : tap % 3 == 1 ? second : third);
    const int8_t *weight = weights + tap / 3 * 6 * p->taken + tap % 3 * 4;
    for (int32_t left = p->taken; left > 0; left -= 2, x += next, weight += 12) {
      int32_t a = weight[0], b = weight[1];
      a0 += a * x[0], b0 += b * x[0];
      a1 += a * x[2], b1 += b * x[2];
      a2 += a * x[4], b2 += b * x[4];
      a3 += a * x[6], b3 += b * x[6];
      a = weight[2], b = weight[3];
      a0 += a * x[1], b0 += b * x[1];
      a1 += a * x[3], b1 += b * x[3];
      a2 += a * x[5], b2 += b * x[5];
      a3 += a * x[7], b3 += b * x[7];
    }
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
}

MTVM_KERNEL void mtvm_strip_channels(const mtvm_strip_t *p, const int16_t *const *rows, const int8_t *weights,
                                     const mtvm_channel_t *channels, uint8_t *y) {
  const mtvm_rescale_t rescale = p->rescale;
  const int32_t next = p->out_height * p->out_width;
  for (int32_t at = 0; at < p->made; at += 2, channels += 2, weights += 6 * p->window_height * p->taken) {
    const int32_t one = channels[0].bias, other = channels[1].bias;
    int32_t sums[2 * MTVM_POSITIONS] = {one, one, one, one, other, other, other, other};
    mtvm_strip_sums(p, rows, weights, sums);
    for (int32_t odd = 0; odd < 2; odd++, y += next) {
      mtvm_store(rescale, sums + MTVM_POSITIONS * odd, channels[odd].multiplier, mtvm_before(&rescale, at + odd), y,
                 1, MTVM_POSITIONS);
    }
  }
}

/* All channels at four positions. */
MTVM_INLINE void mtvm_strip_tile(const mtvm_strip_t *p, const int16_t *const *rows, const int8_t *weights,
                                 const mtvm_channel_t *channels, uint8_t *y, int stride) {
#if MTVM_THUMB2
  if (mtvm_is_plain(&p->rescale)) {
    const int32_t phase = 4 * p->phase;
    const mtvm_strip_tiles_t tiles = {channels,
                                      y,
                                      p->out_height * p->out_width,
                                      p->made / 2,
                                      p->rescale.offset,
                                      p->rescale.shift,
                                      p->rescale.before,
                                      rows,
                                      6 * p->taken,
                                      phase,
                                      phase,
                                      p->window_height};
    if (stride == 1) {
      mtvm_strip_tiles1(&tiles, weights);
    } else {
      mtvm_strip_tiles2(&tiles, weights);
    }
    return;
  }
#else
  (void)stride;
#endif
  mtvm_strip_channels(p, rows, weights, channels, y);
}

/* At least four positions in a row, an even number of channels in x and y. strip: window_height * taken / 2 *
 * stride_x * phase words, aligned to 4. */
MTVM_INLINE void mtvm_strip(const mtvm_strip_t *p, const uint8_t *x, const int8_t *weights,
                            const mtvm_channel_t *channels, uint8_t *y, int16_t *strip, int stride) {
  const int32_t row_size = p->taken * p->stride_x * p->phase, area = p->out_height * p->out_width;
  for (int32_t batch = 0; batch < p->batches; batch++) {
    for (int32_t at = 0; at < p->window_height * row_size; at++) {
      strip[at] = p->zero_point;
    }
    int32_t loaded = 0; /* rows, with those of the padding above */
    for (int32_t out_row = 0; out_row < p->out_height; out_row++) {
      const int32_t first = out_row * p->stride_y;
      loaded = loaded < first ? first : loaded;
      for (; loaded < first + p->window_height; loaded++) {
        mtvm_strip_load(p, x, loaded - p->top, strip + loaded % p->window_height * row_size);
      }
      for (int32_t column = 0; column < p->out_width; column += MTVM_POSITIONS) {
        /* The last tile may compute some positions again. */
        const int32_t start = column + MTVM_POSITIONS <= p->out_width ? column : p->out_width - MTVM_POSITIONS;
        const int16_t *rows[MTVM_STRIP_ROWS];
        for (int32_t row = 0; row < p->window_height; row++) {
          rows[row] = strip + (first + row) % p->window_height * row_size + 2 * start;
        }
        mtvm_strip_tile(p, rows, weights, channels, y + start, stride);
      }
      y += p->out_width;
    }
    x += p->taken * p->height * p->width;
    y += (p->made - 1) * area;
  }
}

MTVM_KERNEL void mtvm_strip1(const mtvm_strip_t *p, const uint8_t *x, const int8_t *weights,
                             const mtvm_channel_t *channels, uint8_t *y, int16_t *strip) {
  mtvm_strip(p, x, weights, channels, y, strip, 1);
}

MTVM_KERNEL void mtvm_strip2(const mtvm_strip_t *p, const uint8_t *x, const int8_t *weights,
                             const mtvm_channel_t *channels, uint8_t *y, int16_t *strip) {
  mtvm_strip(p, x, weights, channels, y, strip, 2);
}
