/* SPDX-License-Identifier: Apache-2.0 */
#include "stored.h"

#include <string.h>

#include "error.h"
#include "functions.h"
#include "memory.h"
#include "tensor.h"

/* The size of a tensor on the wire without its dimensions, which have 8 bytes each. */
#define LEAST_TENSOR_BYTES 32u

/* Allocate a block for tensors, values and type codes, in the order of their alignment. */
static uint8_t *alloc_arguments(size_t count, mtvm_call_t *inner, DLTensor **tensors) {
  uint8_t *block = mtvm_memory_alloc(count * (sizeof(DLTensor) + sizeof(TVMValue) + sizeof(int)), MTVM_BLOCK_OBJECT);
  if (block != NULL) {
    *tensors = (DLTensor *)(void *)block;
    inner->values = (TVMValue *)(void *)(*tensors + count);
    inner->codes = (int *)(void *)(inner->values + count);
    inner->count = (int)count;
  }
  return block;
}

static int read_tensors(mtvm_reader_t *reader, DLTensor *tensors, mtvm_call_t *inner) {
  for (int i = 0; i < inner->count; i++) {
    if (mtvm_read_tensor(reader, &tensors[i]) != 0 || mtvm_tensor_check_argument(&tensors[i]) != 0) {
      return -1;
    }
    inner->values[i].v_handle = &tensors[i];
    inner->codes[i] = kTVMDLTensorHandle;
  }
  return mtvm_read_end(reader);
}

static int call_on(mtvm_call_t *call, const mtvm_function_t *function, mtvm_reader_t *reader, size_t count) {
  mtvm_call_t inner;
  memset(&inner, 0, sizeof inner);
  inner.scratch = call->scratch;
  DLTensor *tensors = NULL;
  uint8_t *block = alloc_arguments(count, &inner, &tensors);
  if (block == NULL) {
    return -1;
  }
  const bool failed = read_tensors(reader, tensors, &inner) != 0 || mtvm_call(function, &inner) != 0;
  (void)mtvm_memory_free(block, MTVM_BLOCK_OBJECT);
  call->result = inner.result;
  call->result_code = inner.result_code;
  call->handle = inner.handle;
  return failed ? -1 : 0;
}

int mtvm_stored_call(mtvm_call_t *call) {
  mtvm_function_t function;
  if (mtvm_want_arguments(call, "fti") != 0 || mtvm_function_of((uint64_t)call->values[0].v_int64, &function) != 0) {
    return -1;
  }
  size_t nbytes;
  uint8_t *block = mtvm_tensor_elements(call->values[1].v_handle, &nbytes);
  if (block == NULL) {
    return -1;
  }
  mtvm_reader_t reader = {.at = block, .end = block + nbytes, .overrun = false};
  const size_t count = (size_t)mtvm_clip(call->values[2].v_int64); /* a negative number becomes too large */
  if (count > nbytes / LEAST_TENSOR_BYTES || ((uintptr_t)block & 7u) != 0) { /* shapes are used in place */
    return mtvm_fail("invalid tensor block");
  }
  return call_on(call, &function, &reader, count);
}
