/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, as a product of a matrix of weights and columns of x.
 *
 * Four output positions and two output channels are computed at a time. The elements of x below the window of each
 * position are gathered once for all channels, as int16 in pairs:
 *
 *   columns   (k0,k1) of position 0, 1, 2, 3 | (k2,k3) of position 0, 1, 2, 3 | ...      8 bytes for each k
 *   weights   k0,k0,k1,k1 of channels 0,1,0,1 | k2,k2,k3,k3 of channels 0,1,0,1 | ...    2 bytes for each k
 *
 * so that a word of weights, widened by two SXTB16, and four words of columns are 16 multiplications. k counts
 * channels, then rows, then columns of the window. */

typedef struct {
  uint16_t batches, groups, taken, made; /* channels of x and y in a group */
  uint16_t height, width, out_height, out_width;
  uint8_t window_height, window_width, stride_y, stride_x, dilation_y, dilation_x;
  int16_t top, left;                   /* padding */
  int32_t x_channel, x_row, x_column;  /* distances of elements */
  int32_t y_channel, y_position, pairs; /* pairs of k */
  int8_t zero_point;
  uint8_t flip; /* 0x80 for an unsigned x */
  mtvm_rescale_t rescale;
} mtvm_conv_t;

MTVM_KERNEL void mtvm_conv_sums(const int16_t *columns, const int8_t *weights, int32_t pairs, int32_t *sums) {
  int32_t a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];
  int32_t b0 = sums[4], b1 = sums[5], b2 = sums[6], b3 = sums[7];
  for (; pairs > 0; pairs--, columns += 8, weights += 4) {
    int32_t a = weights[0], b = weights[1];
    a0 += a * columns[0], b0 += b * columns[0];
    a1 += a * columns[2], b1 += b * columns[2];
    a2 += a * columns[4], b2 += b * columns[4];
    a3 += a * columns[6], b3 += b * columns[6];
    a = weights[2], b = weights[3];
    a0 += a * columns[1], b0 += b * columns[1];
    a1 += a * columns[3], b1 += b * columns[3];
    a2 += a * columns[5], b2 += b * columns[5];
    a3 += a * columns[7], b3 += b * columns[7];
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
}
/* Gather the column of one position, whose window may reach beyond x. */
MTVM_KERNEL void mtvm_conv_gather(const mtvm_conv_t *p, const uint8_t *x, int32_t row, int32_t column,
                                  int16_t *columns) {
  int32_t step = 1;
  for (int32_t channel = 0; channel < p->taken; channel++, x += p->x_channel) {
    for (int32_t i = 0; i < p->window_height; i++) {
      const int32_t y = row + i * p->dilation_y;
      const int is_row = (uint32_t)y < p->height;
      for (int32_t j = 0; j < p->window_width; j++) {
        const int32_t at = column + j * p->dilation_x;
        *columns = is_row && (uint32_t)at < p->width ? (int8_t)(x[y * p->x_row + at * p->x_column] ^ p->flip)
                                                     : p->zero_point;
        columns += step;
        step = 2 * MTVM_POSITIONS - step;
      }
    }
  }
  if (step != 1) {
    *columns = 0;
  }
}

/* Gather the columns of four positions, at these distances from the first one, whose windows lie inside of x. */
MTVM_INLINE void mtvm_conv_gather_four(const mtvm_conv_t *p, const uint8_t *x, const int32_t *distances,
                                       int16_t *columns, int32_t flip) {
  const int32_t second = distances[1], third = distances[2], fourth = distances[3];
  const int32_t next = p->dilation_x * p->x_column;
  int32_t step = 1;
  for (int32_t channel = 0; channel < p->taken; channel++, x += p->x_channel) {
    const uint8_t *row = x;
    for (int32_t i = 0; i < p->window_height; i++, row += p->dilation_y * p->x_row) {
      const uint8_t *at = row;
      for (int32_t j = 0; j < p->window_width; j++, at += next) {
        columns[0] = (int8_t)(at[0] ^ flip);
        columns[2] = (int8_t)(at[second] ^ flip);
        columns[4] = (int8_t)(at[third] ^ flip);
        columns[6] = (int8_t)(at[fourth] ^ flip);
        columns += step;
        step = 2 * MTVM_POSITIONS - step;
      }
    }
  }
  if (step != 1) {
    columns[0] = columns[2] = columns[4] = columns[6] = 0;
  }
}

MTVM_KERNEL void mtvm_conv_gather_inside(const mtvm_conv_t *p, const uint8_t *x, const int32_t *distances,
                                         int16_t *columns) {
  if (p->flip) {
    mtvm_conv_gather_four(p, x, distances, columns, 0x80);
  } else {
    mtvm_conv_gather_four(p, x, distances, columns, 0);
  }
}

#if MTVM_DSP
/* Gather the columns of four positions next to each other, for a window of one element. */
MTVM_KERNEL void mtvm_conv_gather_plane(const mtvm_conv_t *p, const uint8_t *x, uint32_t *columns) {
  const uint32_t flip = p->flip * 0x01010101u;
  const int32_t distance = p->x_channel;
  for (int32_t channel = p->taken; channel > 0; channel -= 2, x += 2 * distance, columns += 4) {
    const uint32_t a = mtvm_load32(x) ^ flip;
    const uint32_t b = channel > 1 ? mtvm_load32(x + distance) ^ flip : 0;
    const uint32_t a02 = mtvm_bytes02(a), a13 = mtvm_bytes13(a), b02 = mtvm_bytes02(b), b13 = mtvm_bytes13(b);
    columns[0] = mtvm_lower(a02, b02);
    columns[1] = mtvm_lower(a13, b13);
    columns[2] = mtvm_upper(a02, b02);
    columns[3] = mtvm_upper(a13, b13);
  }
}
#endif

/* Compute all channels of a group at up to four positions. */
MTVM_KERNEL void mtvm_conv_channels(const mtvm_conv_t *p, const int16_t *columns, const int8_t *weights,
                                    const mtvm_channel_t *channels, uint8_t *y, int32_t positions) {
  const mtvm_rescale_t rescale = p->rescale;
  const int32_t pairs = p->pairs, distance = p->y_position, next = p->y_channel;
  for (int32_t at = 0; at < p->made; at += 2, channels += 2, weights += 4 * pairs) {
    const int32_t one = channels[0].bias, other = channels[1].bias;
    int32_t sums[2 * MTVM_POSITIONS] = {one, one, one, one, other, other, other, other};
    mtvm_conv_sums(columns, weights, pairs, sums);
    for (int32_t odd = 0; odd < 2 && at + odd < p->made; odd++, y += next) {
      mtvm_store(rescale, sums + MTVM_POSITIONS * odd, channels[odd].multiplier, mtvm_before(&rescale, at + odd), y,
                 distance, positions);
    }
  }
}

#if MTVM_THUMB2
/* What mtvm_conv_tiles takes, at fixed distances from the stack pointer. */
typedef struct {
  const mtvm_channel_t *channels;
  const int16_t *columns;
  uint8_t *y;
  int32_t y_channel;
  uint32_t bytes; /* of the weights of two channels */
  int32_t twos;   /* of channels */
  int32_t offset, shift, before;
} mtvm_conv_tiles_t;

#if MTVM_DSP
#define MTVM_STEP             \
  "ldr r3, [r1], #4\n"        \
  "ldrd r12, lr, [r0], #8\n"  \
  "sxtb16 r2, r3\n"           \
  "sxtb16 r3, r3, ror #8\n"   \
  "smlad r4, r2, r12, r4\n"   \
  "smlad r5, r2, lr, r5\n"    \
  "smlad r8, r3, r12, r8\n"   \
  "smlad r9, r3, lr, r9\n"    \
  "ldrd r12, lr, [r0], #8\n"  \
  "smlad r6, r2, r12, r6\n"   \
  "smlad r7, r2, lr, r7\n"    \
  "smlad r10, r3, r12, r10\n" \
  "smlad r11, r3, lr, r11\n"
#else
#define MTVM_STEP MTVM_TAP("0", "8") "add r0, r0, #16\n"
#endif

/* Sums and elements of four positions next to each other for all channels, an even number of them, where the result
 * is plain and all channels have one `before`: 9 instructions for each element in addition to its multiplications, of
 * which four steps are written out: another number of steps than a multiple of four enters behind the first. */
__attribute__((naked, noinline, unused)) static void mtvm_conv_tiles(const mtvm_conv_tiles_t *tiles,
                                                                     const int8_t *weights) {
  __asm__ volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #44\n"
      "ldm r0, {r2-r10}\n"
      "stm sp, {r2-r10}\n"
      "8: ldr r12, [sp]\n"
      "ldr r0, [sp, #4]\n"
      "ldr r2, [sp, #16]\n"
      "ldr r4, [r12], #8\n"
      "ldr r8, [r12], #8\n"
      "add r3, r2, r1\n"
      "str r12, [sp]\n"
      "str r3, [sp, #36]\n" /* end of the weights */
      "mov r5, r4\n"
      "mov r6, r4\n"
      "mov r7, r4\n"
      "mov r9, r8\n"
      "mov r10, r8\n"
      "mov r11, r8\n"
      "ubfx r2, r2, #2, #2\n"
      "tbb [pc, r2]\n"
      "0: .byte (4f-0b)/2, (1f-0b)/2, (2f-0b)/2, (3f-0b)/2\n"
      "4:\n" MTVM_STEP "3:\n" MTVM_STEP "2:\n" MTVM_STEP "1:\n" MTVM_STEP
      "ldr r2, [sp, #36]\n"
      "cmp r1, r2\n"
      "bne 4b\n"
      "ldr r12, [sp]\n"
      "ldr r0, [sp, #8]\n"
      "ldr r2, [r12, #-12]\n"
      "ldr r3, [sp, #24]\n"
      "ldrd r12, lr, [sp, #28]\n" MTVM_STORE4("r4", "r5", "r6", "r7")
      "ldr r2, [sp]\n"
      "ldr r4, [sp, #12]\n"
      "ldr r2, [r2, #-4]\n"
      "ldr lr, [sp, #32]\n"
      "add r0, r0, r4\n" MTVM_STORE4("r8", "r9", "r10", "r11")
      "add r0, r0, r4\n"
      "str r0, [sp, #8]\n"
      "ldr r2, [sp, #20]\n"
      "subs r2, r2, #1\n"
      "str r2, [sp, #20]\n"
      "bne 8b\n"
      "add sp, #44\n"
      "pop {r4-r11, pc}\n");
}
#endif

/* Gather the columns of up to four positions, from the one with this index on. */
MTVM_INLINE void mtvm_conv_gather_positions(const mtvm_conv_t *p, const uint8_t *x, int32_t first, int32_t positions,
                                            int16_t *columns) {
  int32_t out_row = first / p->out_width, out_column = first - out_row * p->out_width;
  int32_t rows[MTVM_POSITIONS], at[MTVM_POSITIONS], distances[MTVM_POSITIONS];
  int is_inside = 1;
  for (int32_t i = 0; i < MTVM_POSITIONS; i++) {
    rows[i] = out_row * p->stride_y - p->top;
    at[i] = out_column * p->stride_x - p->left;
    distances[i] = (rows[i] - rows[0]) * p->x_row + (at[i] - at[0]) * p->x_column;
    is_inside &= rows[i] >= 0 && at[i] >= 0 && rows[i] + (p->window_height - 1) * p->dilation_y < p->height &&
                 at[i] + (p->window_width - 1) * p->dilation_x < p->width;
    if (i + 1 < positions && ++out_column == p->out_width) { /* the last position fills the columns */
      out_column = 0;
      out_row++;
    }
  }
  if (!is_inside) {
    for (int32_t i = 0; i < MTVM_POSITIONS; i++) {
      mtvm_conv_gather(p, x, rows[i], at[i], columns + 2 * i);
    }
    return;
  }
  const uint8_t *start = x + rows[0] * p->x_row + at[0] * p->x_column;
#if MTVM_DSP
  if (p->window_height * p->window_width == 1 && distances[1] == 1 && distances[2] == 2 && distances[3] == 3) {
    mtvm_conv_gather_plane(p, start, (uint32_t *)(void *)columns);
    return;
  }
#endif
  mtvm_conv_gather_inside(p, start, distances, columns);
}

/* weights: for each group, for each two channels: a word for each pair of k. channels: even in number for each
 * group. columns: 16 bytes for each pair of k, aligned to 4. y may be x if each position of y has the memory of the
 * same position of x. */
MTVM_KERNEL void mtvm_conv(const mtvm_conv_t *p, const uint8_t *x, const int8_t *weights,
                           const mtvm_channel_t *channels, uint8_t *y, void *columns) {
  const int32_t positions = p->out_height * p->out_width;
  const int32_t even = (p->made + 1) / 2 * 2;
#if MTVM_THUMB2
  const int is_plain = mtvm_is_plain(&p->rescale) && p->y_position == 1 && p->made % 2 == 0;
#endif
  for (int32_t batch = 0; batch < p->batches; batch++) {
    const int8_t *taps = weights;
    const mtvm_channel_t *made = channels;
    for (int32_t group = 0; group < p->groups; group++) {
      for (int32_t first = 0; first < positions; first += MTVM_POSITIONS) {
        const int32_t left = positions - first < MTVM_POSITIONS ? positions - first : MTVM_POSITIONS;
        mtvm_conv_gather_positions(p, x, first, left, columns);
#if MTVM_THUMB2
        if (is_plain && left == MTVM_POSITIONS) {
          mtvm_conv_tiles_t tiles = {
              made,        columns,           y + first,        p->y_channel,     4 * (uint32_t)p->pairs,
              p->made / 2, p->rescale.offset, p->rescale.shift, p->rescale.before};
          mtvm_conv_tiles(&tiles, taps);
          continue;
        }
#endif
        mtvm_conv_channels(p, columns, taps, made, y + first * p->y_position, left);
      }
      x += p->taken * p->x_channel;
      y += p->made * p->y_channel;
      taps += even * 2 * p->pairs;
      made += even;
    }
  }
}
