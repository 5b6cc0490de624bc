/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose arguments do not fit into a packet: they are stored in memory of the host on the device. */
#ifndef MTVM_STORED_H
#define MTVM_STORED_H

#include "packed.h"

/* Call a function with stored arguments: mtvm.call_stored(function, block, count).
 *
 * `block` is a tensor of bytes that contains `count` tensors in the format of the wire. The result is that of
 * the function. Returns 0, or -1 with the error set. */
int mtvm_stored_call(mtvm_call_t *call);

#endif
