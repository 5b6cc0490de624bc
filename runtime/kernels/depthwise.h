/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution: each output channel has one input channel.
 *
 * A channel is copied between its padding, after which y may take over its memory: an output channel never reaches
 * beyond the input channels that were read. */

typedef struct {
  uint16_t batches, made, multiplier; /* output channels, and how many each input channel has */
  uint16_t height, width, out_height, out_width;
  uint16_t padded_height, padded_width; /* of the copy */
  uint8_t window_height, window_width, stride_y, stride_x, dilation_y, dilation_x;
  int16_t top, left;
  int8_t zero_point;
  uint8_t flip; /* 0x80 for an unsigned x */
  mtvm_rescale_t rescale;
} mtvm_depthwise_t;

MTVM_KERNEL void mtvm_depthwise_copy(const mtvm_depthwise_t *p, const uint8_t *x, int8_t *padded) {
  const uint32_t flip = p->flip * 0x01010101u;
  const int32_t width = p->width, skipped = p->padded_width - width;
  padded += p->top * p->padded_width + p->left;
  for (int32_t row = p->height; row > 0; row--, padded += skipped) {
    int32_t at = 0;
    for (; at + 4 <= width; at += 4, x += 4, padded += 4) {
      const uint32_t word = mtvm_load32(x) ^ flip;
      memcpy(padded, &word, sizeof word);
    }
    for (; at < width; at++) {
      *padded++ = (int8_t)(*x++ ^ (uint8_t)flip);
    }
  }
}

#if MTVM_DSP
/* What the loops over 3x3 windows take, at fixed distances from the stack pointer. */
typedef struct {
  uint32_t outer[3]; /* (w0,w2) of each row of the window, shifted by `before` */
  uint32_t inner01;  /* w1 of rows 0 and 1 */
  uint32_t inner2;
  int32_t width;     /* of the copy */
  int32_t bias;      /* shifted by `before` */
  int32_t multiplier, offset, shift;
  int32_t out_width, rows;
  int32_t skipped; /* from the elements of the last position in a row to those of the first in the next one */
  int32_t more;    /* the rest of `before`, beyond 8 */
} mtvm_depthwise_rows_t;

/* r0 s, r1 y, r2 width, r3-r5 outer, r6 inner01, r7 inner2, r8 positions left in the row, r9 and r10 sums of two
 * positions, r11, r12 and lr elements. */
#define MTVM_ROWS_BEGIN \
  "push {r4-r11, lr}\n" \
  "sub sp, #32\n"       \
  "add r12, r2, #24\n"  \
  "ldm r12, {r3-r10}\n" \
  "stm sp, {r3-r10}\n"  \
  "ldm r2, {r3-r8}\n"   \
  "mov r2, r8\n"        \
  "0: ldr r8, [sp, #16]\n"
/* sp: bias, multiplier, offset, shift, out_width, rows, skipped, more */
#define MTVM_ROWS_END    \
  "ldr r11, [sp, #20]\n" \
  "ldr r12, [sp, #24]\n" \
  "subs r11, r11, #1\n"  \
  "str r11, [sp, #20]\n" \
  "add r0, r0, r12\n"    \
  "bne 0b\n"             \
  "add sp, #32\n"        \
  "pop {r4-r11, pc}\n"

/* All positions with a stride of one. From the four elements below a row of the windows of two positions come
 * (s0,s2) and (s1,s3), to be multiplied with (w0,w2) and w1. 36 instructions for 18 multiplications. */
#define MTVM_ROWS1(more)        \
  MTVM_ROWS_BEGIN               \
  "1: ldr r11, [r0]\n"          \
  "ldr r9, [sp]\n"              \
  "sxtb16 r12, r11, ror #8\n"   \
  "sxtb16 r11, r11\n"           \
  "smlad r10, r12, r3, r9\n"    \
  "smlad r9, r11, r3, r9\n"     \
  "smlatb r10, r11, r6, r10\n"  \
  "smlabb r9, r12, r6, r9\n"    \
  "ldr r11, [r0, r2]\n"         \
  "sxtb16 r12, r11, ror #8\n"   \
  "sxtb16 r11, r11\n"           \
  "smlad r10, r12, r4, r10\n"   \
  "smlad r9, r11, r4, r9\n"     \
  "smlatt r10, r11, r6, r10\n"  \
  "smlabt r9, r12, r6, r9\n"    \
  "ldr r11, [r0, r2, lsl #1]\n" \
  "sxtb16 r12, r11, ror #8\n"   \
  "sxtb16 r11, r11\n"           \
  "smlad r10, r12, r5, r10\n"   \
  "smlad r9, r11, r5, r9\n"     \
  "smlatb r10, r11, r7, r10\n"  \
  "smlabb r9, r12, r7, r9\n"    \
  "ldrd r11, r12, [sp, #4]\n"   \
  "ldr lr, [sp, #12]\n" more    \
  "smmla r9, r9, r11, r12\n"    \
  "smmla r10, r10, r11, r12\n"  \
  "asr r9, r9, lr\n"            \
  "asr r10, r10, lr\n"          \
  "ssat r9, #8, r9\n"           \
  "ssat r10, #8, r10\n"         \
  "strb r9, [r1], #1\n"         \
  "add r0, r0, #2\n"            \
  "subs r8, r8, #2\n"           \
  "bmi 2f\n"                    \
  "strb r10, [r1], #1\n"        \
  "bne 1b\n"                    \
  "2:\n" MTVM_ROWS_END

/* All positions with a stride of two. 25 instructions for 9 multiplications. */
#define MTVM_ROWS2(more)        \
  MTVM_ROWS_BEGIN               \
  "ldr r10, [sp, #12]\n"        \
  "1: ldr r11, [r0]\n"          \
  "ldr r9, [sp]\n"              \
  "sxtb16 r12, r11, ror #8\n"   \
  "sxtb16 r11, r11\n"           \
  "smlabb r9, r12, r6, r9\n"    \
  "smlad r9, r11, r3, r9\n"     \
  "ldr r11, [r0, r2]\n"         \
  "sxtb16 r12, r11, ror #8\n"   \
  "sxtb16 r11, r11\n"           \
  "smlabt r9, r12, r6, r9\n"    \
  "smlad r9, r11, r4, r9\n"     \
  "ldr r11, [r0, r2, lsl #1]\n" \
  "sxtb16 r12, r11, ror #8\n"   \
  "sxtb16 r11, r11\n"           \
  "smlabb r9, r12, r7, r9\n"    \
  "smlad r9, r11, r5, r9\n"     \
  "ldrd r11, r12, [sp, #4]\n"   \
  "add r0, r0, #2\n" more       \
  "smmla r9, r9, r11, r12\n"    \
  "subs r8, r8, #1\n"           \
  "asr r9, r9, r10\n"           \
  "ssat r9, #8, r9\n"           \
  "strb r9, [r1], #1\n"         \
  "bne 1b\n" MTVM_ROWS_END

__attribute__((naked, noinline, unused)) static void mtvm_depthwise_rows1(const int8_t *s, uint8_t *y,
                                                                          const mtvm_depthwise_rows_t *rows) {
  __asm__ volatile(MTVM_ROWS1(""));
}
__attribute__((naked, noinline, unused)) static void mtvm_depthwise_rows2(const int8_t *s, uint8_t *y,
                                                                          const mtvm_depthwise_rows_t *rows) {
  __asm__ volatile(MTVM_ROWS2(""));
}
__attribute__((naked, noinline, unused)) static void mtvm_depthwise_rows1_more(const int8_t *s, uint8_t *y,
                                                                               const mtvm_depthwise_rows_t *rows) {
  __asm__ volatile(MTVM_ROWS1("ldr lr, [sp, #28]\n lsl r9, r9, lr\n lsl r10, r10, lr\n ldr lr, [sp, #12]\n"));
}
__attribute__((naked, noinline, unused)) static void mtvm_depthwise_rows2_more(const int8_t *s, uint8_t *y,
                                                                               const mtvm_depthwise_rows_t *rows) {
  __asm__ volatile(MTVM_ROWS2("ldr lr, [sp, #28]\n lsl r9, r9, lr\n"));
}

/* Two int16, each shifted to the left; their values fit. */
MTVM_INLINE uint32_t mtvm_shifted_halves(uint32_t halves, uint32_t shift) {
  return mtvm_lower(halves << shift, (halves >> 16) << shift);
}

/* A channel of 3x3 windows, where the result is plain. Up to 8 of `before` are applied to the weights, which are int16
 * here. */
MTVM_INLINE void mtvm_depthwise_3x3(const mtvm_depthwise_t *p, const int8_t *padded, const int8_t *weights,
                                    mtvm_channel_t channel, uint32_t all_before, uint8_t *y) {
  const uint32_t before = all_before < 8 ? all_before : 8;
  const uint32_t word0 = mtvm_load32(weights), word1 = mtvm_load32(weights + 3), word2 = mtvm_load32(weights + 6);
  const int32_t out_width = p->out_width, stride = p->stride_x;
  const int32_t positions = stride == 1 ? (out_width + 1) / 2 * 2 : out_width;
  const mtvm_depthwise_rows_t rows = {
      {mtvm_shifted_halves(mtvm_bytes02(word0), before), mtvm_shifted_halves(mtvm_bytes02(word1), before),
       mtvm_shifted_halves(mtvm_bytes02(word2), before)},
      mtvm_lower(mtvm_bytes13(word0) << before, mtvm_bytes13(word1) << before),
      mtvm_bytes13(word2) << before,
      p->padded_width,
      (int32_t)((uint32_t)channel.bias << before),
      channel.multiplier,
      p->rescale.offset,
      p->rescale.shift,
      out_width,
      p->out_height,
      stride * (p->padded_width - positions),
      (int32_t)(all_before - before)};
  if (stride == 1) {
    (rows.more ? mtvm_depthwise_rows1_more : mtvm_depthwise_rows1)(padded, y, &rows);
  } else {
    (rows.more ? mtvm_depthwise_rows2_more : mtvm_depthwise_rows2)(padded, y, &rows);
  }
}
#endif

/* A channel of 3x3 windows in C. */
MTVM_INLINE void mtvm_depthwise_nine(const mtvm_depthwise_t *p, const int8_t *padded, const int8_t *w,
                                     mtvm_channel_t channel, uint32_t before, uint8_t *y) {
  const mtvm_rescale_t rescale = p->rescale;
  const int32_t width = p->padded_width, stride = p->stride_x, columns = p->out_width;
  for (int32_t row = 0; row < p->out_height; row++) {
    const int8_t *s = padded + row * p->stride_y * width, *t = s + width, *u = t + width;
    for (int32_t at = 0; at < columns; at++, s += stride, t += stride, u += stride) {
      const int32_t sum = channel.bias + w[0] * s[0] + w[1] * s[1] + w[2] * s[2] + w[3] * t[0] + w[4] * t[1] +
                          w[5] * t[2] + w[6] * u[0] + w[7] * u[1] + w[8] * u[2];
      *y++ = mtvm_rescaled(rescale, sum, channel.multiplier, before);
    }
  }
}

MTVM_INLINE void mtvm_depthwise_any(const mtvm_depthwise_t *p, const int8_t *padded, const int8_t *weights,
                                    int32_t bias, int32_t multiplier, uint32_t before, uint8_t *y) {
  const mtvm_rescale_t rescale = p->rescale;
  const int32_t width = p->padded_width, step_y = p->dilation_y * width, step_x = p->dilation_x;
  for (int32_t row = 0; row < p->out_height; row++) {
    const int8_t *start = padded + row * p->stride_y * width;
    for (int32_t at = 0; at < p->out_width; at++, start += p->stride_x) {
      int32_t sum = bias;
      const int8_t *tap = weights, *line = start;
      for (int32_t i = p->window_height; i > 0; i--, line += step_y) {
        const int8_t *s = line;
        for (int32_t j = p->window_width; j > 0; j--, s += step_x) {
          sum += *tap++ * *s;
        }
      }
      *y++ = mtvm_rescaled(rescale, sum, multiplier, before);
    }
  }
}

MTVM_INLINE void mtvm_depthwise_channel(const mtvm_depthwise_t *p, const int8_t *padded, const int8_t *weights,
                                        mtvm_channel_t channel, uint32_t before, uint8_t *y) {
  if (p->window_height == 3 && p->window_width == 3 && p->dilation_y == 1 && p->dilation_x == 1) {
#if MTVM_DSP
    if (p->rescale.flip == 0 && p->rescale.lowest == -128 && p->rescale.highest == 127 &&
        p->stride_y == p->stride_x && p->stride_y <= 2) {
      mtvm_depthwise_3x3(p, padded, weights, channel, before, y);
      return;
    }
#endif
    mtvm_depthwise_nine(p, padded, weights, channel, before, y);
    return;
  }
  mtvm_depthwise_any(p, padded, weights, channel.bias, channel.multiplier, before, y);
}

/* weights: the taps of each output channel in order, and three more bytes. padded: padded_height * padded_width
 * bytes and four more. */
MTVM_KERNEL void mtvm_depthwise(const mtvm_depthwise_t *p, const uint8_t *x, const int8_t *weights,
                                const mtvm_channel_t *channels, uint8_t *y, int8_t *padded) {
  const int32_t taps = p->window_height * p->window_width, area = p->out_height * p->out_width;
  memset(padded, p->zero_point, (size_t)p->padded_height * p->padded_width + 4);
  for (int32_t batch = 0; batch < p->batches; batch++) {
    int32_t waiting = 0; /* output channels of the copied input channel */
    for (int32_t channel = 0; channel < p->made; channel++, y += area) {
      if (waiting == 0) {
        mtvm_depthwise_copy(p, x, padded);
        x += p->height * p->width;
        waiting = p->multiplier;
      }
      waiting--;
      const uint32_t before = mtvm_before(&p->rescale, channel);
      mtvm_depthwise_channel(p, padded, weights + channel * taps, channels[channel], before, y);
    }
  }
}
