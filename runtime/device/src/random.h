/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MTVM_RANDOM_H
#define MTVM_RANDOM_H

#include "packed.h"

/* tvm.contrib.random.random_fill(tensor): numbers of no meaning, for measuring. Floating point elements are
 * in [1, 2), integers in 0..127, so that no kernel meets an infinity or an index far out of range. */
int mtvm_random_fill(mtvm_call_t *call);

#endif
