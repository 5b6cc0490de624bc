/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of the workspace, for both runtimes: blocks that begin and end on a multiple of MTVM_ALIGN. Each
 * begins with a header of MTVM_ALIGN bytes, followed by its data. */
#ifndef MTVM_BLOCK_H
#define MTVM_BLOCK_H

#include <microtvm/config.h>
#include <stddef.h>
#include <stdint.h>

/* Round a number of bytes down to a multiple of MTVM_ALIGN. `bytes` is at most MTVM_MAX_BYTES. */
#define MTVM_BLOCK_WHOLE(bytes) ((uint32_t)(bytes) & ~(uint32_t)(MTVM_ALIGN - 1))

/* The size in bytes of a block with `bytes` bytes of data. */
#define MTVM_BLOCK_BYTES(bytes) MTVM_BLOCK_WHOLE((uint32_t)(bytes) + 2 * MTVM_ALIGN - 1)

/* The number of bytes from an address to the first possible beginning of a block. */
#define MTVM_BLOCK_SKIP(address) ((size_t)(0 - (uintptr_t)(address)) & (MTVM_ALIGN - 1))

/* The smallest possible workspace, in bytes from its first block on: one header and data. */
#define MTVM_BLOCK_LEAST ((size_t)(2 * MTVM_ALIGN))

#endif
