/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of kernels with recorded results. programs.py writes the cases; harness.c runs them. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdint.h>

enum { MOST_TENSORS = 6 };

typedef struct {
  uint32_t start; /* in case_data; not used for scratch memory */
  uint32_t bytes;
  uint32_t misplaced; /* bytes beyond an address that is a multiple of 16 */
} tensor_t;

typedef struct {
  const char *label;
  void (*run)(void *const *tensors);
  uint32_t inputs;                /* tensors that the kernel reads */
  uint32_t is_in_place;           /* the output may have the memory of the first input */
  tensor_t tensors[MOST_TENSORS]; /* inputs, output, scratch memory */
} case_t;

extern const case_t cases[];
extern const uint32_t case_count;
extern const uint8_t case_data[];
extern const uint32_t uses_dsp; /* MTVM_DSP of integers.h */

/* host.c and board.c define it. */
void put(const char *text);

#endif
