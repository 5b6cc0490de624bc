/* SPDX-License-Identifier: Apache-2.0 */
/* The workspace: blocks that are freed in any order grow from its bottom, the stack of the kernels grows
 * from its top. There is one, because generated code allocates without saying where. */
#ifndef MTVM_SRC_MEMORY_H
#define MTVM_SRC_MEMORY_H

#include <microtvm/memory.h>
#include <tvm/runtime/c_backend_api.h>

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

/* 0 when the host may read and write nbytes from data on: they lie in one data or tensor block. Else -1 with
 * the error set. */
int mtvm_memory_check(const void *data, size_t nbytes);

/* Call a kernel, and take back what it leaves on the stack: one that failed freed nothing. 0, or -1 with the
 * error set. */
int mtvm_kernel_call(TVMBackendPackedCFunc kernel, TVMValue *args, int *codes, int count, TVMValue *result,
                     int *result_code);

#endif
