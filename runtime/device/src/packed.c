/* SPDX-License-Identifier: Apache-2.0 */
#include "packed.h"

#include <microtvm/config.h>
#include <string.h>

#include "error.h"

uint8_t *mtvm_read_bytes(mtvm_reader_t *reader, size_t n) {
  uint8_t *bytes = reader->at;
  if (n > (size_t)(reader->end - reader->at)) {
    reader->overrun = true;
    reader->at = reader->end;
    return NULL;
  }
  reader->at += n;
  return bytes;
}

static void read_into(mtvm_reader_t *reader, void *to, size_t n) {
  const uint8_t *from = mtvm_read_bytes(reader, n);
  if (from == NULL) {
    memset(to, 0, n);
  } else {
    memcpy(to, from, n); /* not aligned in the packet */
  }
}

uint64_t mtvm_read_u64(mtvm_reader_t *reader) {
  uint64_t value;
  read_into(reader, &value, sizeof value);
  return value;
}

size_t mtvm_read_size(mtvm_reader_t *reader) {
  const uint64_t size = mtvm_read_u64(reader);
  return size > MTVM_MAX_BYTES ? MTVM_MAX_BYTES : (size_t)size;
}

uint32_t mtvm_read_u32(mtvm_reader_t *reader) {
  uint32_t value;
  read_into(reader, &value, sizeof value);
  return value;
}

int mtvm_read_end(const mtvm_reader_t *reader) {
  if (reader->overrun) {
    return mtvm_fail("message ends before its last operand");
  }
  if (reader->at != reader->end) {
    return mtvm_want("bytes after the last operand", 0, reader->end - reader->at);
  }
  return 0;
}

/* Align the dimensions by moving them over the tensor's head, which has already been read. */
static int64_t *align_shape(uint8_t *shape, size_t n) {
  uint8_t *aligned = shape - ((uintptr_t)shape & 7u);
  memmove(aligned, shape, n);
  return (int64_t *)(void *)aligned;
}

int mtvm_read_tensor(mtvm_reader_t *reader, DLTensor *tensor) {
  const uint64_t data = mtvm_read_u64(reader);
  memset(tensor, 0, sizeof *tensor);
  read_into(reader, &tensor->device, sizeof tensor->device);
  read_into(reader, &tensor->ndim, sizeof tensor->ndim);
  read_into(reader, &tensor->dtype, sizeof tensor->dtype);
  if (tensor->ndim < 0 || tensor->ndim > MTVM_MAX_NDIM) {
    return mtvm_at_most("tensor dimensions", MTVM_MAX_NDIM, tensor->ndim);
  }
  const size_t shape_bytes = (size_t)tensor->ndim * sizeof(int64_t);
  uint8_t *shape = mtvm_read_bytes(reader, shape_bytes);
  tensor->byte_offset = mtvm_read_u64(reader);
  if (reader->overrun) {
    return mtvm_read_end(reader);
  }
  if (data > UINTPTR_MAX || tensor->byte_offset > MTVM_MAX_BYTES) {
    return mtvm_fail("tensor beyond the device memory");
  }
  if (tensor->device.device_type != kDLCPU) {
    return mtvm_want("device type", kDLCPU, tensor->device.device_type);
  }
  tensor->data = (void *)(uintptr_t)data;
  tensor->shape = align_shape(shape, shape_bytes);
  return 0;
}

void *mtvm_scratch_alloc(mtvm_scratch_t *scratch, size_t n) {
  uint8_t *aligned = scratch->at + ((size_t)(0 - (uintptr_t)scratch->at) & 7u);
  if (aligned > scratch->end || n > (size_t)(scratch->end - aligned)) {
    (void)mtvm_want("packet buffer bytes for the call", (intptr_t)n, scratch->end - scratch->at);
    return NULL;
  }
  scratch->at = aligned + n;
  return aligned;
}

/* Read a length and bytes. The bytes are moved over the length, to append a NUL. */
static int read_text(mtvm_reader_t *reader, mtvm_call_t *call, int code, TVMValue *value) {
  char *to = (char *)reader->at;
  const size_t n = mtvm_read_size(reader);
  const uint8_t *from = mtvm_read_bytes(reader, n);
  if (from == NULL) {
    return mtvm_read_end(reader);
  }
  memmove(to, from, n);
  to[n] = '\0';
  value->v_str = to;
  if (code == kTVMStr) {
    return 0;
  }
  TVMByteArray *array = mtvm_scratch_alloc(&call->scratch, sizeof *array);
  if (array == NULL) {
    return -1;
  }
  array->data = to;
  array->size = n;
  value->v_handle = array;
  return 0;
}

static int read_value(mtvm_reader_t *reader, mtvm_call_t *call, int code, TVMValue *value) {
  value->v_int64 = 0;
  switch (code) {
    case kTVMNullptr:
      return 0;
    case kTVMArgInt:
    case kDLUInt:
    case kTVMArgBool: /* the type of booleans from hosts of TVM 0.18 */
    case kTVMArgFloat:
    case kTVMOpaqueHandle:
    case kTVMDataType:
    case kDLDevice:
    case kTVMModuleHandle:
    case kTVMPackedFuncHandle:
      value->v_int64 = (int64_t)mtvm_read_u64(reader);
      return 0;
    case kTVMDLTensorHandle:
      value->v_handle = mtvm_scratch_alloc(&call->scratch, sizeof(DLTensor));
      return value->v_handle == NULL ? -1 : mtvm_read_tensor(reader, value->v_handle);
    case kTVMStr:
    case kTVMBytes:
      return read_text(reader, call, code, value);
    default:
      return mtvm_error_hex("unknown type code", (uintptr_t)code);
  }
}

int mtvm_read_arguments(mtvm_reader_t *reader, mtvm_call_t *call) {
  const uint32_t count = mtvm_read_u32(reader);
  if (count > MTVM_MAX_ARGS) {
    return mtvm_at_most("arguments", MTVM_MAX_ARGS, (int32_t)count);
  }
  call->count = (int)count;
  call->values = mtvm_scratch_alloc(&call->scratch, count * sizeof *call->values);
  call->codes = mtvm_scratch_alloc(&call->scratch, count * sizeof *call->codes);
  if (call->values == NULL || call->codes == NULL) {
    return -1;
  }
  read_into(reader, call->codes, count * sizeof *call->codes);
  for (uint32_t i = 0; i < count; i++) {
    if (read_value(reader, call, call->codes[i], &call->values[i]) != 0) {
      return -1;
    }
    if (call->codes[i] == kDLUInt || call->codes[i] == kTVMArgBool) {
      call->codes[i] = kTVMArgInt; /* functions receive all integer types as ints */
    }
  }
  return mtvm_read_end(reader);
}

/* No argument has this code, so an unknown letter rejects every call. */
#define NO_CODE (-1)

static int code_of(char kind) {
  switch (kind) {
    case 'i':
      return kTVMArgInt;
    case 's':
    case 'k':
      return kTVMStr;
    case 't':
      return kTVMDLTensorHandle;
    case 'd':
      return kDLDevice;
    case 'y':
      return kTVMDataType;
    case 'm':
      return kTVMModuleHandle;
    case 'f':
      return kTVMPackedFuncHandle;
    case 'h':
      return kTVMOpaqueHandle;
    default:
      return NO_CODE;
  }
}

static bool is_kind(int code, char kind) {
  if (code == kTVMNullptr) {
    return kind == 'm' || kind == 'h';
  }
  return code == code_of(kind) || (kind == 'k' && code == kTVMArgInt);
}

int mtvm_want_arguments(const mtvm_call_t *call, const char *kinds) {
  const size_t want = strlen(kinds);
  if ((size_t)call->count < want) {
    return mtvm_want("arguments", (intptr_t)want, call->count);
  }
  for (size_t i = 0; i < want; i++) {
    if (!is_kind(call->codes[i], kinds[i])) {
      return mtvm_want("argument type code", code_of(kinds[i]), call->codes[i]);
    }
  }
  return 0;
}

int mtvm_return_int(mtvm_call_t *call, int64_t value) {
  call->result.v_int64 = value;
  call->result_code = kTVMArgInt;
  return 0;
}

int mtvm_return_handle(mtvm_call_t *call, int code, uint64_t handle) {
  call->handle = handle;
  call->result_code = code;
  return 0;
}
