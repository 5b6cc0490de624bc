/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor.h"

#include <microtvm/config.h>
#include <stdbool.h>

#include "error.h"
#include "memory.h"
#include "registry.h"

int mtvm_shape_bytes(const int64_t *shape, int32_t ndim, DLDataType dtype, size_t *nbytes) {
  uint64_t product = ((uint32_t)dtype.bits * dtype.lanes + 7u) / 8u;
  if (product == 0) {
    return mtvm_fail("tensor data type without bits");
  }
  for (int32_t i = 0; i < ndim; i++) {
    if (shape[i] < 0 || shape[i] > MTVM_MAX_BYTES) {
      return mtvm_at_most("tensor dimension", MTVM_MAX_BYTES, mtvm_clip(shape[i]));
    }
    /* Both factors are below 2^31, so the product cannot overflow before the check. */
    product *= (uint64_t)shape[i];
    if (product > MTVM_MAX_BYTES) {
      return mtvm_at_most("tensor bytes", MTVM_MAX_BYTES, mtvm_clip((int64_t)product));
    }
  }
  *nbytes = (size_t)product;
  return 0;
}

int mtvm_tensor_bytes(const DLTensor *tensor, size_t *nbytes) {
  return mtvm_shape_bytes(tensor->shape, tensor->ndim, tensor->dtype, nbytes);
}

static uint8_t *at_offset(const DLTensor *tensor, size_t nbytes) {
  const size_t offset = (size_t)tensor->byte_offset; /* at most MTVM_MAX_BYTES, like nbytes */
  return mtvm_memory_check(tensor->data, offset + nbytes) != 0 ? NULL : (uint8_t *)tensor->data + offset;
}

uint8_t *mtvm_tensor_elements(const DLTensor *tensor, size_t *nbytes) {
  return mtvm_tensor_bytes(tensor, nbytes) != 0 ? NULL : at_offset(tensor, *nbytes);
}

uint8_t *mtvm_tensor_window(const DLTensor *tensor, size_t nbytes) {
  size_t all;
  if (mtvm_tensor_bytes(tensor, &all) != 0) {
    return NULL;
  }
  if (nbytes > all) {
    (void)mtvm_at_most("bytes to copy", (intptr_t)all, (intptr_t)nbytes);
    return NULL;
  }
  return at_offset(tensor, nbytes);
}

/* Return whether `data` is a parameter of a graph. Archives of TVM 0.8 and 0.9 link the parameters and return
 * their addresses by storage id. */
static bool is_linked_parameter(const void *data) {
  const size_t index = mtvm_registry_find("_lookup_linked_param", "", "");
  if (index == mtvm_registry_count()) {
    return false;
  }
  for (int id = 0; id < MTVM_MAX_STORAGE_IDS; id++) {
    TVMValue value;
    TVMValue found;
    int code = kTVMArgInt;
    int found_code = kTVMNullptr;
    value.v_int64 = id;
    found.v_int64 = 0;
    if (mtvm_registry_function(index)(&value, &code, 1, &found, &found_code, NULL) == 0 &&
        found_code == kTVMOpaqueHandle && found.v_handle == data) {
      return true;
    }
  }
  return false;
}

int mtvm_tensor_check_argument(const DLTensor *tensor) {
  size_t nbytes;
  if (mtvm_tensor_bytes(tensor, &nbytes) != 0) {
    return -1;
  }
  return at_offset(tensor, nbytes) != NULL || is_linked_parameter(tensor->data) ? 0 : -1;
}
