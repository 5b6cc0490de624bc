/* SPDX-License-Identifier: Apache-2.0 */
/* The workspace. Blocks that are freed in any order grow from its bottom; the stack of the kernels grows from
 * its top. A program has one workspace, because generated code allocates without naming one. */
#ifndef MTVM_SRC_MEMORY_H
#define MTVM_SRC_MEMORY_H

#include <microtvm/memory.h>
#include <tvm/runtime/c_backend_api.h>

typedef enum {
  MTVM_BLOCK_FREE,
  MTVM_BLOCK_DATA,   /* of the host: DevAllocData */
  MTVM_BLOCK_TENSOR, /* an executor's input or output: the host may access it, but not free it */
  MTVM_BLOCK_OBJECT, /* of the runtime; the host cannot access it */
  MTVM_BLOCK_STACK,
} mtvm_block_kind_t;

/* Discard all blocks. */
void mtvm_memory_reset(void);

/* Allocate `nbytes` bytes, aligned to MTVM_ALIGN. Returns NULL with the error set when no block is large
 * enough. */
void *mtvm_memory_alloc(size_t nbytes, mtvm_block_kind_t kind);

/* Free a block. Returns 0, or -1 with the error set when `data` is not the beginning of a block of that
 * kind. */
int mtvm_memory_free(const void *data, mtvm_block_kind_t kind);

/* Check that the host may access `nbytes` at `data`: they must be in one data or tensor block.
 *
 * Returns 0, or -1 with the error set. */
int mtvm_memory_check(const void *data, size_t nbytes);

/* Call a kernel, then free its blocks on the stack: a kernel that fails may free none. Returns 0, or -1 with
 * the error set. */
int mtvm_kernel_call(TVMBackendPackedCFunc kernel, TVMValue *args, int *codes, int count, TVMValue *result,
                     int *result_code);

#endif
