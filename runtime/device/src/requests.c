/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include <string.h>

#include "error.h"
#include "functions.h"
#include "memory.h"
#include "objects.h"
#include "rpc_codes.h"
#include "tensor.h"

#define DEVICE_EXISTS 0 /* the only attribute that every device has */

static int on_device(mtvm_call_t *call) {
  const int32_t type = call->values[0].v_device.device_type;
  return type == kDLCPU ? 0 : mtvm_want("device type", kDLCPU, type);
}

static int get_global(mtvm_call_t *call) {
  return mtvm_return_handle(call, kTVMOpaqueHandle, mtvm_find_global(call->values[0].v_str));
}

static int free_handle(mtvm_call_t *call) {
  return mtvm_handle_free((uint64_t)call->values[0].v_int64, call->values[1].v_int64);
}

static int get_attribute(mtvm_call_t *call) {
  if (call->values[1].v_int64 == DEVICE_EXISTS) {
    return mtvm_return_handle(call, kTVMArgInt, call->values[0].v_device.device_type == kDLCPU ? 1 : 0);
  }
  return on_device(call);
}

static int return_block(mtvm_call_t *call, size_t nbytes) {
  const void *data = mtvm_memory_alloc(nbytes, MTVM_BLOCK_DATA);
  return data == NULL ? -1 : mtvm_return_handle(call, kTVMOpaqueHandle, (uintptr_t)data);
}

/* Allocate memory. The alignment in the request is that of the host's vectors. MTVM_ALIGN is enough for this
 * device. */
static int alloc_data(mtvm_call_t *call) {
  return on_device(call) != 0 ? -1 : return_block(call, (size_t)mtvm_clip(call->values[1].v_int64));
}

static int alloc_data_with_scope(mtvm_call_t *call) {
  const DLTensor *tensor = call->values[0].v_handle;
  size_t nbytes;
  if (call->count > 1 && call->codes[1] == kTVMStr && strcmp(call->values[1].v_str, "global") != 0) {
    return mtvm_error("memory scope: expected global, got %s", call->values[1].v_str);
  }
  if (mtvm_tensor_bytes(tensor, &nbytes) != 0) {
    return -1;
  }
  return return_block(call, nbytes);
}

static int free_data(mtvm_call_t *call) {
  const uint64_t data = (uint64_t)call->values[1].v_int64;
  const void *address = data > UINTPTR_MAX ? NULL : (const void *)(uintptr_t)data;
  return on_device(call) != 0 ? -1 : mtvm_memory_free(address, MTVM_BLOCK_DATA);
}

static int copy_among_remote(mtvm_call_t *call) {
  size_t got;
  size_t want;
  const uint8_t *from = mtvm_tensor_elements(call->values[0].v_handle, &got);
  uint8_t *to = from == NULL ? NULL : mtvm_tensor_elements(call->values[1].v_handle, &want);
  if (to == NULL) {
    return -1;
  }
  if (want != got) {
    return mtvm_want("bytes to copy", (intptr_t)want, (intptr_t)got);
  }
  memmove(to, from, want);
  return 0;
}

/* Return the stream 0. There are no streams: each request is complete when the reply is sent. */
static int create_stream(mtvm_call_t *call) {
  return on_device(call) != 0 ? -1 : mtvm_return_handle(call, kTVMOpaqueHandle, 0);
}

static const struct {
  const char *arguments; /* kinds for mtvm_want_arguments */
  mtvm_native_fn carry_out;
} requests[] = {
    [MTVM_RPC_GET_GLOBAL_FUNC - MTVM_RPC_FIRST_SEQUENCE] = {"s", get_global},
    [MTVM_RPC_FREE_HANDLE - MTVM_RPC_FIRST_SEQUENCE] = {"hi", free_handle},
    [MTVM_RPC_DEV_SET_DEVICE - MTVM_RPC_FIRST_SEQUENCE] = {"d", on_device},
    [MTVM_RPC_DEV_GET_ATTR - MTVM_RPC_FIRST_SEQUENCE] = {"di", get_attribute},
    [MTVM_RPC_DEV_ALLOC_DATA - MTVM_RPC_FIRST_SEQUENCE] = {"diiy", alloc_data},
    [MTVM_RPC_DEV_FREE_DATA - MTVM_RPC_FIRST_SEQUENCE] = {"dh", free_data},
    [MTVM_RPC_DEV_STREAM_SYNC - MTVM_RPC_FIRST_SEQUENCE] = {"dh", on_device},
    [MTVM_RPC_COPY_AMONG_REMOTE - MTVM_RPC_FIRST_SEQUENCE] = {"tt", copy_among_remote},
    [MTVM_RPC_DEV_ALLOC_DATA_WITH_SCOPE - MTVM_RPC_FIRST_SEQUENCE] = {"t", alloc_data_with_scope},
    [MTVM_RPC_DEV_CREATE_STREAM - MTVM_RPC_FIRST_SEQUENCE] = {"d", create_stream},
    [MTVM_RPC_DEV_FREE_STREAM - MTVM_RPC_FIRST_SEQUENCE] = {"dh", on_device},
    [MTVM_RPC_DEV_SET_STREAM - MTVM_RPC_FIRST_SEQUENCE] = {"dh", on_device},
};
#define REQUESTS (sizeof requests / sizeof requests[0])

int mtvm_request(int32_t code, mtvm_reader_t *reader, mtvm_call_t *call) {
  const uint32_t index = (uint32_t)code - MTVM_RPC_FIRST_SEQUENCE;
  if (index >= REQUESTS) {
    return mtvm_error_hex("unknown request code", (uint32_t)code);
  }
  call->result_code = kTVMNullptr;
  if (mtvm_read_arguments(reader, call) != 0 || mtvm_want_arguments(call, requests[index].arguments) != 0) {
    return -1;
  }
  return requests[index].carry_out(call);
}
