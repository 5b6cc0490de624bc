/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#include <stddef.h>
#include <string.h>

#include "error.h"
#include "framing.h"
#include "functions.h"
#include "memory.h"
#include "objects.h"
#include "requests.h"
#include "rpc_codes.h"
#include "session.h"
#include "tensor.h"

#define LENGTH_BYTES 8u
#define CODE_BYTES 4u
#define HEAD_BYTES (LENGTH_BYTES + CODE_BYTES)
#define PROTOCOL "0.8.0"

/* A value of a reply. Only the members that its code needs are set. */
typedef struct {
  int32_t code;
  size_t size;       /* of a string or bytes */
  const void *bytes; /* of a string or bytes; the tensor */
  uint64_t bits;     /* of all other types */
} item_t;

void mtvm_rpc_reset(const mtvm_session_t *session) {
  mtvm_memory_reset();
  mtvm_objects_reset(session->id);
  mtvm_error_clear();
}

static bool is_text(int32_t code) { return code == kTVMStr || code == kTVMBytes; }

static size_t item_size(const item_t *item) {
  if (item->code == kTVMNullptr) {
    return 0;
  }
  if (item->code == kTVMDLTensorHandle) {
    return 32 + 8 * (size_t)((const DLTensor *)item->bytes)->ndim;
  }
  return 8 + (is_text(item->code) ? item->size : 0);
}

static void put_u64(mtvm_framer_t *framer, uint64_t value) { mtvm_framer_put(framer, &value, sizeof value); }

/* Device, number of dimensions and data type are contiguous in memory and on the wire. */
_Static_assert(offsetof(DLTensor, dtype) == offsetof(DLTensor, device) + 12,
               "a tensor must be laid out in memory as on the wire");

static void put_tensor(mtvm_framer_t *framer, const DLTensor *tensor) {
  put_u64(framer, (uintptr_t)tensor->data);
  mtvm_framer_put(framer, &tensor->device, 16);
  mtvm_framer_put(framer, tensor->shape, 8 * (size_t)tensor->ndim);
  put_u64(framer, tensor->byte_offset);
}

static void put_item(mtvm_framer_t *framer, const item_t *item) {
  if (item->code == kTVMDLTensorHandle) {
    put_tensor(framer, item->bytes);
  } else if (is_text(item->code)) {
    put_u64(framer, item->size);
    mtvm_framer_put(framer, item->bytes, item->size);
  } else if (item->code != kTVMNullptr) {
    put_u64(framer, item->bits);
  }
}

static void begin(mtvm_session_t *session, int32_t code, size_t operand_bytes) {
  mtvm_session_begin_message(session, HEAD_BYTES + operand_bytes);
  put_u64(&session->framer, CODE_BYTES + operand_bytes);
  mtvm_framer_put(&session->framer, &code, sizeof code);
}

/* Send a sequence of items. Returns 0, or -1 with the error set when it may not fit into the host's
 * buffer. */
static int answer(mtvm_session_t *session, int32_t code, const item_t *items, int32_t count) {
  size_t size = sizeof count;
  for (int32_t i = 0; i < count; i++) {
    size += sizeof items[i].code + item_size(&items[i]);
  }
  if (HEAD_BYTES + size > mtvm_max_message()) {
    return mtvm_at_most("result bytes", (intptr_t)mtvm_max_message(), (intptr_t)(HEAD_BYTES + size));
  }
  begin(session, code, size);
  mtvm_framer_put(&session->framer, &count, sizeof count);
  for (int32_t i = 0; i < count; i++) {
    mtvm_framer_put(&session->framer, &items[i].code, sizeof items[i].code);
  }
  for (int32_t i = 0; i < count; i++) {
    put_item(&session->framer, &items[i]);
  }
  mtvm_session_end_message(session);
  return 0;
}

static int answer_one(mtvm_session_t *session, int32_t code, uint64_t bits) {
  item_t item;
  item.code = code;
  item.bits = bits;
  return answer(session, MTVM_RPC_RETURN, &item, 1);
}

static int answer_null(mtvm_session_t *session) { return answer_one(session, kTVMNullptr, 0); }

void mtvm_rpc_fail(mtvm_session_t *session) {
  item_t item;
  item.code = kTVMStr;
  item.bytes = mtvm_error_text();
  item.size = strlen(item.bytes);
  (void)answer(session, MTVM_RPC_EXCEPTION, &item, 1); /* fits: the text is shorter than any packet buffer */
}

/* Convert a result that is neither a handle nor a tensor. Returns 0, or -1 with the error set. */
static int fill_value(item_t *item, const mtvm_call_t *call) {
  item->code = call->result_code;
  item->bits = (uint64_t)call->result.v_int64;
  switch (call->result_code) {
    case kTVMNullptr:
    case kTVMArgInt:
    case kTVMArgFloat:
    case kTVMDataType:
    case kDLDevice:
      return 0;
    case kTVMOpaqueHandle:
      item->bits = (uintptr_t)call->result.v_handle;
      return 0;
    case kTVMStr:
      item->bytes = call->result.v_str;
      item->size = strlen(call->result.v_str);
      return 0;
    case kTVMBytes:
      item->bytes = ((const TVMByteArray *)call->result.v_handle)->data;
      item->size = ((const TVMByteArray *)call->result.v_handle)->size;
      return 0;
    default:
      return mtvm_error_hex("cannot return type code", (uintptr_t)call->result_code);
  }
}

/* Send the result of a call: its type code as an int, its value, and for a tensor its handle. */
static int answer_call(mtvm_session_t *session, const mtvm_call_t *call) {
  item_t items[3];
  const bool tensor = call->result_code == kTVMNDArrayHandle;
  items[0].code = kTVMArgInt;
  items[0].bits = (uint64_t)(int64_t)call->result_code;
  items[1].code = kTVMDLTensorHandle;
  items[1].bytes = call->result.v_handle;
  if (call->handle != 0) { /* a module, function or tensor */
    item_t *handle = &items[tensor ? 2 : 1];
    handle->code = kTVMOpaqueHandle;
    handle->bits = call->handle;
  } else if (fill_value(&items[1], call) != 0) {
    return -1;
  }
  return answer(session, MTVM_RPC_RETURN, items, call->handle != 0 && tensor ? 3 : 2);
}

static int check_tensors(const mtvm_call_t *call) {
  for (int i = 0; i < call->count; i++) {
    if (call->codes[i] == kTVMDLTensorHandle && mtvm_tensor_check_argument(call->values[i].v_handle) != 0) {
      return -1;
    }
  }
  return 0;
}

static int call_function(mtvm_session_t *session, mtvm_reader_t *reader, mtvm_call_t *call) {
  const uint64_t handle = mtvm_read_u64(reader);
  mtvm_function_t function;
  if (mtvm_read_arguments(reader, call) != 0 || mtvm_function_of(handle, &function) != 0 ||
      check_tensors(call) != 0 || mtvm_call(&function, call) != 0) {
    return -1;
  }
  return answer_call(session, call);
}

/* Check the version of the protocol. The number of arguments follows, so there is a byte for the
 * terminator. */
static int check_version(mtvm_reader_t *reader) {
  const size_t length = mtvm_read_size(reader);
  char *version = (char *)mtvm_read_bytes(reader, length);
  if (version == NULL || reader->at == reader->end) {
    return mtvm_read_end(reader);
  }
  if (length != strlen(PROTOCOL) || memcmp(version, PROTOCOL, strlen(PROTOCOL)) != 0) {
    version[length] = '\0';
    return mtvm_error("RPC protocol: expected " PROTOCOL ", got %s", version);
  }
  return 0;
}

static int init_server(mtvm_session_t *session, mtvm_reader_t *reader, mtvm_call_t *call) {
  if (check_version(reader) != 0 || mtvm_read_arguments(reader, call) != 0) {
    return -1;
  }
  return call->count == 0 ? answer_null(session) : mtvm_want("InitServer arguments", 0, call->count);
}

/* Read a tensor and the number of bytes to copy. Returns 0, or -1 with the error set. */
static int read_window(mtvm_reader_t *reader, DLTensor *tensor, size_t *nbytes) {
  if (mtvm_read_tensor(reader, tensor) != 0) {
    return -1;
  }
  *nbytes = mtvm_read_size(reader);
  return 0;
}

static int copy_from_remote(mtvm_session_t *session, mtvm_reader_t *reader) {
  DLTensor tensor;
  size_t nbytes;
  if (read_window(reader, &tensor, &nbytes) != 0 || mtvm_read_end(reader) != 0) {
    return -1;
  }
  const uint8_t *data = mtvm_tensor_window(&tensor, nbytes);
  if (data == NULL) {
    return -1;
  }
  const size_t most = mtvm_max_message() - HEAD_BYTES;
  if (nbytes > most) {
    return mtvm_at_most("bytes to copy in a packet", (intptr_t)most, (intptr_t)nbytes);
  }
  begin(session, MTVM_RPC_COPY_ACK, nbytes);
  mtvm_framer_put(&session->framer, data, nbytes);
  mtvm_session_end_message(session);
  return 0;
}

static int copy_to_remote(mtvm_session_t *session, mtvm_reader_t *reader) {
  DLTensor tensor;
  size_t nbytes;
  if (read_window(reader, &tensor, &nbytes) != 0) {
    return -1;
  }
  const uint8_t *from = mtvm_read_bytes(reader, nbytes);
  uint8_t *to = mtvm_read_end(reader) != 0 ? NULL : mtvm_tensor_window(&tensor, nbytes);
  if (to == NULL) {
    return -1;
  }
  memcpy(to, from, nbytes);
  return answer_null(session);
}

static int handle_request(mtvm_session_t *session, int32_t code, mtvm_reader_t *reader, mtvm_call_t *call) {
  switch (code) {
    case MTVM_RPC_INIT_SERVER:
      return init_server(session, reader, call);
    case MTVM_RPC_CALL_FUNC:
      return call_function(session, reader, call);
    case MTVM_RPC_COPY_FROM_REMOTE:
      return copy_from_remote(session, reader);
    case MTVM_RPC_COPY_TO_REMOTE:
      return copy_to_remote(session, reader);
    default:
      return mtvm_request(code, reader, call) != 0 ? -1 : answer_one(session, call->result_code, call->handle);
  }
}

bool mtvm_rpc_handle(mtvm_session_t *session, uint8_t *message, size_t length, uint8_t *end) {
  mtvm_reader_t reader = {message, message + length, false};
  const size_t got = mtvm_read_size(&reader);
  const int32_t code = (int32_t)mtvm_read_u32(&reader);
  mtvm_call_t call;
  memset(&call, 0, sizeof call);
  call.scratch.at = message + length;
  call.scratch.end = end;
  mtvm_error_clear();
  int failed;
  if (reader.overrun) {
    failed = mtvm_read_end(&reader);
  } else if (got != length - LENGTH_BYTES) {
    failed = mtvm_want("message length", (intptr_t)length - (intptr_t)LENGTH_BYTES, (intptr_t)got);
  } else if (code == MTVM_RPC_SHUTDOWN) {
    return false;
  } else {
    failed = handle_request(session, code, &reader, &call);
  }
  if (failed != 0) {
    mtvm_rpc_fail(session);
  }
  return true;
}
