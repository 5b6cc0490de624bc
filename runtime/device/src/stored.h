/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose arguments do not fit into a packet: they lie in memory that the host was given. */
#ifndef MTVM_STORED_H
#define MTVM_STORED_H

#include "packed.h"

/* mtvm.call_stored(function, block, count): call the function on the `count` tensors in `block`, a tensor of bytes
 * that holds them as the wire does, one after the other. The result is that of the function. */
int mtvm_stored_call(mtvm_call_t *call);

#endif
