/* SPDX-License-Identifier: Apache-2.0 */
/* The workspace: the memory that executors and kernels share. */
#ifndef MTVM_MEMORY_H
#define MTVM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Set the workspace and discard all earlier allocations. The RPC server calls this function.
 *
 * `size` is in bytes. Returns 0, or -1 with mtvm_error_text() set when the memory cannot hold one block. */
int mtvm_memory_init(uint8_t *memory, size_t size);

/* Return the largest number of bytes in use since mtvm_memory_init. */
size_t mtvm_memory_peak(void);

#ifdef __cplusplus
}
#endif

#endif
