/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MTVM_RANDOM_H
#define MTVM_RANDOM_H

#include "packed.h"

/* Fill a tensor with random numbers for measurements: tvm.contrib.random.random_fill(tensor).
 *
 * Floating point elements are in [1, 2), integers in 0 .. 127, so that no kernel receives an infinity or an
 * index far out of range. Returns 0, or -1 with the error set. */
int mtvm_random_fill(mtvm_call_t *call);

#endif
