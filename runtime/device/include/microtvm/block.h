/* SPDX-License-Identifier: Apache-2.0 */
/* How the workspace is divided, whatever runtime it serves: blocks that begin and end on a multiple of MTVM_ALIGN,
 * each with a header of MTVM_ALIGN bytes before its data. */
#ifndef MTVM_BLOCK_H
#define MTVM_BLOCK_H

#include <microtvm/config.h>
#include <stddef.h>
#include <stdint.h>

/* A number of bytes, down to a multiple of MTVM_ALIGN. At most MTVM_MAX_BYTES. */
#define MTVM_BLOCK_WHOLE(bytes) ((uint32_t)(bytes) & ~(uint32_t)(MTVM_ALIGN - 1))

/* The size of a block with so many bytes of data. */
#define MTVM_BLOCK_BYTES(bytes) MTVM_BLOCK_WHOLE((uint32_t)(bytes) + 2 * MTVM_ALIGN - 1)

/* How many bytes lie between an address and the first block that may begin there or behind it. */
#define MTVM_BLOCK_SKIP(address) ((size_t)(0 - (uintptr_t)(address)) & (MTVM_ALIGN - 1))

/* The least that a workspace must have from its first block on: a header and data. */
#define MTVM_BLOCK_LEAST ((size_t)(2 * MTVM_ALIGN))

#endif
