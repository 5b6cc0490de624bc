/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor.h"

#include "error.h"
#include "memory.h"
#include "registry.h"

int mtvm_shape_bytes(const int64_t *shape, int32_t ndim, DLDataType dtype, uint64_t *nbytes) {
  uint64_t product = ((uint32_t)dtype.bits * dtype.lanes + 7u) / 8u;
  if (product == 0) {
    return mtvm_error("tensor: data type of %d bits and %d lanes", "", dtype.bits, dtype.lanes);
  }
  for (int32_t i = 0; i < ndim; i++) {
    if (shape[i] < 0) {
      return mtvm_error("tensor: shape[%d] is %d", "", (uint32_t)i, (uint64_t)shape[i]);
    }
    /* Both factors below 2^32: the product cannot overflow before it is looked at. */
    product = shape[i] > UINT32_MAX ? UINT64_MAX : product * (uint64_t)shape[i];
    if (product > UINT32_MAX) {
      return mtvm_error("tensor: shape[%d] of %d makes it larger than 4 GiB", "", (uint32_t)i,
                        (uint64_t)shape[i]);
    }
  }
  *nbytes = product;
  return 0;
}

int mtvm_tensor_bytes(const DLTensor *tensor, uint64_t *nbytes) {
  return mtvm_shape_bytes(tensor->shape, tensor->ndim, tensor->dtype, nbytes);
}

static int outside(const DLTensor *tensor, uint64_t nbytes) {
  return mtvm_error("tensor: %d bytes at %x are not in memory of this device's host", "", nbytes,
                    (uintptr_t)tensor->data);
}

int mtvm_tensor_check(const DLTensor *tensor) {
  uint64_t nbytes;
  if (mtvm_tensor_bytes(tensor, &nbytes) != 0) {
    return -1;
  }
  /* With the offset or without it: some generated code applies it, some does not. */
  if (tensor->byte_offset > UINT32_MAX || !mtvm_memory_holds(tensor->data, nbytes + tensor->byte_offset)) {
    return outside(tensor, nbytes);
  }
  return 0;
}

/* Archives of TVM 0.8 and 0.9 link parameters of graphs and tell their addresses by storage id. */
static bool is_linked_parameter(const void *data) {
  const size_t index = mtvm_registry_find("_lookup_linked_param", "", "");
  TVMBackendPackedCFunc lookup;
  if (index == mtvm_registry_count()) {
    return false;
  }
  lookup = mtvm_registry_function(index);
  for (int64_t id = 0; id < MTVM_MAX_STORAGE_IDS; id++) {
    TVMValue value;
    TVMValue found;
    int code = kTVMArgInt;
    int found_code = kTVMNullptr;
    value.v_int64 = id;
    found.v_int64 = 0;
    if (lookup(&value, &code, 1, &found, &found_code, NULL) == 0 && found_code == kTVMOpaqueHandle &&
        found.v_handle == data) {
      return true;
    }
  }
  return false;
}

int mtvm_tensor_check_argument(const DLTensor *tensor) {
  return mtvm_tensor_check(tensor) == 0 || is_linked_parameter(tensor->data) ? 0 : -1;
}

uint8_t *mtvm_tensor_window(const DLTensor *tensor, uint64_t nbytes) {
  uint64_t all;
  if (mtvm_tensor_bytes(tensor, &all) != 0) {
    return NULL;
  }
  if (tensor->byte_offset > all || nbytes > all - tensor->byte_offset) {
    (void)mtvm_error("copy: want at most %d bytes of the tensor from its offset on, got %d", "",
                     tensor->byte_offset > all ? 0 : all - tensor->byte_offset, nbytes);
    return NULL;
  }
  if (!mtvm_memory_holds(tensor->data, tensor->byte_offset + nbytes)) {
    (void)outside(tensor, nbytes);
    return NULL;
  }
  return (uint8_t *)tensor->data + tensor->byte_offset;
}
