/* SPDX-License-Identifier: Apache-2.0 */
/* The workspace: the memory that executors and kernels share. */
#ifndef MTVM_MEMORY_H
#define MTVM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Set the memory, and forget all that was allocated before. 0, or -1 when it is too small to hold one block,
 * with mtvm_error_text() set. The RPC server does this by itself. */
int mtvm_memory_init(uint8_t *memory, size_t size);

/* The most bytes of it that were ever taken at once, since mtvm_memory_init. */
size_t mtvm_memory_peak(void);

#ifdef __cplusplus
}
#endif

#endif
