/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of the arguments and results of calls between the wire and functions.
 *
 * On the wire a sequence is a count (i32), type codes (i32 each) and values. Arguments are decoded in place:
 * strings and shapes are shifted to append a NUL or to align them. Arguments that are larger in memory than
 * on the wire go to the unused end of the packet buffer. */
#ifndef MTVM_PACKED_H
#define MTVM_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tvm/runtime/c_runtime_api.h>

/* Reader of received bytes. Beyond the end it returns zeros and sets `overrun`, so that one check per message
 * is enough. */
typedef struct {
  uint8_t *at;
  uint8_t *end;
  bool overrun;
} mtvm_reader_t;

uint8_t *mtvm_read_bytes(mtvm_reader_t *reader, size_t n); /* NULL beyond the end */
uint64_t mtvm_read_u64(mtvm_reader_t *reader);
uint32_t mtvm_read_u32(mtvm_reader_t *reader);
size_t mtvm_read_size(mtvm_reader_t *reader); /* a u64, limited to MTVM_MAX_BYTES */

/* Read a tensor without its type code. Its shape stays in the message. Returns 0, or -1 with the error
 * set. */
int mtvm_read_tensor(mtvm_reader_t *reader, DLTensor *tensor);

/* Check that the whole message was read, and no more. Returns 0, or -1 with the error set. */
int mtvm_read_end(const mtvm_reader_t *reader);

typedef struct {
  uint8_t *at;
  uint8_t *end;
} mtvm_scratch_t;

/* Allocate `n` bytes, aligned to 8. Returns NULL with the error set when the buffer is full. */
void *mtvm_scratch_alloc(mtvm_scratch_t *scratch, size_t n);

typedef struct {
  TVMValue *values; /* handles of the host are in v_int64, for any width of pointers */
  int *codes;
  int count;
  void *object; /* the object of the called function, or NULL */
  uint32_t owner;
  mtvm_scratch_t scratch;
  TVMValue result;
  int result_code;
  uint64_t handle; /* the handle in the result, or 0; a tensor result has its data in `result` */
} mtvm_call_t;

/* Read the arguments of a call. Returns 0, or -1 with the error set. */
int mtvm_read_arguments(mtvm_reader_t *reader, mtvm_call_t *call);

/* Check the types of the arguments. `kinds` has one character for each required argument; more arguments may
 * follow.
 *
 * i int, s string, t tensor, d device, y data type, h handle (opaque, or null as 0), m module (or null as 0),
 * f function, k int or string. Returns 0, or -1 with the error set. */
int mtvm_want_arguments(const mtvm_call_t *call, const char *kinds);

/* Set the result of a call. Return 0. */
int mtvm_return_int(mtvm_call_t *call, int64_t value);
int mtvm_return_handle(mtvm_call_t *call, int code, uint64_t handle);

#endif
