/* SPDX-License-Identifier: Apache-2.0 */
/* The workspace: blocks that are freed in any order grow from its bottom, the stack of the kernels grows
 * from its top. There is one, because generated code allocates without saying where. */
#ifndef MTVM_MEMORY_H
#define MTVM_MEMORY_H

#include <microtvm/aot.h>
#include <microtvm/config.h>
#include <stdbool.h>

typedef enum {
  MTVM_BLOCK_FREE,
  MTVM_BLOCK_DATA,   /* of the host: DevAllocData */
  MTVM_BLOCK_TENSOR, /* an executor's input or output: the host reads and writes it, but does not free it */
  MTVM_BLOCK_OBJECT, /* the runtime's own; out of reach for the host */
  MTVM_BLOCK_STACK,
} mtvm_block_kind_t;

/* Forget all blocks. */
void mtvm_memory_reset(void);

/* Aligned to MTVM_ALIGN; NULL with the error set when no block is large enough. */
void *mtvm_memory_alloc(size_t nbytes, mtvm_block_kind_t kind);

/* 0; -1 with the error set when data is not the beginning of a block of that kind. */
int mtvm_memory_free(const void *data, mtvm_block_kind_t kind);

/* Whether the host may read and write nbytes from data on: they lie in one data or tensor block. */
bool mtvm_memory_holds(const void *data, size_t nbytes);

/* Give the stack back up to where it was: a kernel that failed freed nothing. */
size_t mtvm_stack_mark(void);
void mtvm_stack_release(size_t mark);

#endif
