/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and results of calls: between their form on the wire and the one that functions take.
 *
 * On the wire: count (i32), type codes (i32 each), values. Arguments are decoded where they were received:
 * strings and shapes are shifted a little to end in NUL or be aligned, and what is larger in memory than on
 * the wire goes to the unused end of the packet buffer. */
#ifndef MTVM_PACKED_H
#define MTVM_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tvm/runtime/c_runtime_api.h>

/* Bytes received, read from front to back. Past the end zeros are read and `overrun` is set, so that a
 * message is checked once, not at every field. */
typedef struct {
  uint8_t *at;
  uint8_t *end;
  bool overrun;
} mtvm_reader_t;

uint8_t *mtvm_read_bytes(mtvm_reader_t *reader, size_t n); /* NULL past the end */
uint64_t mtvm_read_u64(mtvm_reader_t *reader);
uint32_t mtvm_read_u32(mtvm_reader_t *reader);
size_t mtvm_read_size(mtvm_reader_t *reader); /* a u64; MTVM_MAX_BYTES stands for more, too */

/* A tensor without its type code. The shape stays in the message. */
int mtvm_read_tensor(mtvm_reader_t *reader, DLTensor *tensor);

/* 0 when all was read and nothing is left; -1 with the error set. */
int mtvm_read_end(const mtvm_reader_t *reader);

typedef struct {
  uint8_t *at;
  uint8_t *end;
} mtvm_scratch_t;

/* n bytes on a multiple of 8; NULL with the error set. */
void *mtvm_scratch_alloc(mtvm_scratch_t *scratch, size_t n);

typedef struct {
  TVMValue *values; /* handles of the host are v_int64, whatever the width of a pointer is here */
  int *codes;
  int count;
  void *object; /* what a function of an object works on; else NULL */
  uint32_t owner;
  mtvm_scratch_t scratch;
  TVMValue result;
  int result_code;
  uint64_t handle; /* the result, when it is a handle; of a tensor, beside its data */
} mtvm_call_t;

/* Read the arguments of a call. */
int mtvm_read_arguments(mtvm_reader_t *reader, mtvm_call_t *call);

/* One character for each argument that must be there: i int, s string, t tensor, d device, y data type,
 * h handle (opaque, or null as 0), m module (or null as 0), f function, k int or string. More may follow. */
int mtvm_want_arguments(const mtvm_call_t *call, const char *kinds);

int mtvm_return_int(mtvm_call_t *call, int64_t value);
int mtvm_return_handle(mtvm_call_t *call, int code, uint64_t handle);

#endif
