/* SPDX-License-Identifier: Apache-2.0 */
#include <microtvm/aot.h>
#include <stdbool.h>
#include <string.h>
#include <tvm/runtime/metadata_types.h>

#include "error.h"
#include "memory.h"
#include "registry.h"
#include "tensor.h"

/* Executor. In its block follow the tensors, values and type codes of the call: for every input, then for
 * every output. */
struct mtvm_aot {
  const struct TVMMetadata *metadata;
  TVMBackendPackedCFunc run;
  DLTensor *tensors;
  TVMValue *values;
  int *codes;
  size_t count;
};

/* Return the metadata of the AOT module `name`, or NULL with the error set. */
static const struct TVMMetadata *get_metadata(const char *name) {
  const size_t count = mtvm_registry_count();
  const size_t index = mtvm_registry_find("tvmgen_", name, "_get_c_metadata");
  if (index == count) {
    const bool has_main = mtvm_registry_find("tvmgen_", name, "___tvm_main__") < count;
    const char *text = "module %s has no metadata (LLVM code): call ___tvm_main__";
    (void)mtvm_error(has_main ? text : "no AOT module %s", name);
    return NULL;
  }
  TVMValue value;
  TVMValue unused;
  int code;
  if (mtvm_kernel_call(mtvm_registry_function(index), &unused, &code, 0, &value, &code) != 0 ||
      value.v_handle == NULL) {
    (void)mtvm_error("no metadata in module %s", name);
    return NULL;
  }
  return value.v_handle;
}

static const struct TVMTensorInfo *tensor_info(const struct TVMMetadata *metadata, size_t index) {
  const size_t inputs = (size_t)metadata->num_inputs;
  return index < inputs ? &metadata->inputs[index] : &metadata->outputs[index - inputs];
}

/* Allocate a block for executor, tensors, values and type codes, in the order of their alignment. */
static mtvm_aot_t *alloc_executor(const struct TVMMetadata *metadata) {
  const size_t count = (size_t)(metadata->num_inputs + metadata->num_outputs);
  const size_t head = (sizeof(mtvm_aot_t) + 7u) & ~(size_t)7u;
  const size_t size = head + count * (sizeof(DLTensor) + sizeof(TVMValue) + sizeof(int));
  uint8_t *block = mtvm_memory_alloc(size, MTVM_BLOCK_OBJECT);
  if (block == NULL) {
    return NULL;
  }
  mtvm_aot_t *aot = (mtvm_aot_t *)(void *)block;
  memset(block, 0, size);
  aot->metadata = metadata;
  aot->count = count;
  aot->tensors = (DLTensor *)(void *)(block + head);
  aot->values = (TVMValue *)(void *)(aot->tensors + count);
  aot->codes = (int *)(void *)(aot->values + count);
  return aot;
}

static int alloc_tensor(mtvm_aot_t *aot, size_t index) {
  const struct TVMTensorInfo *info = tensor_info(aot->metadata, index);
  size_t nbytes;
  if (mtvm_shape_bytes(info->shape, (int32_t)info->num_shape, info->dtype, &nbytes) != 0) {
    return -1;
  }
  DLTensor *tensor = &aot->tensors[index];
  tensor->data = mtvm_memory_alloc(nbytes, MTVM_BLOCK_TENSOR);
  if (tensor->data == NULL) {
    return -1;
  }
  memset(tensor->data, 0, nbytes);
  tensor->device.device_type = kDLCPU;
  tensor->ndim = (int32_t)info->num_shape;
  tensor->dtype = info->dtype;
  tensor->shape = (int64_t *)(uintptr_t)info->shape; /* const in the model; the device does not write to it */
  aot->values[index].v_handle = tensor;
  aot->codes[index] = kTVMDLTensorHandle;
  return 0;
}

mtvm_aot_t *mtvm_aot_create(const char *name) {
  const struct TVMMetadata *metadata = get_metadata(name);
  if (metadata == NULL) {
    return NULL;
  }
  /* Not metadata->mod_name: its offset differs in early archives of TVM 0.9. */
  const size_t run = mtvm_registry_find("tvmgen_", name, "_run");
  if (run == mtvm_registry_count()) {
    (void)mtvm_error("no function tvmgen_%s_run", name);
    return NULL;
  }
  mtvm_aot_t *aot = alloc_executor(metadata);
  if (aot == NULL) {
    return NULL;
  }
  aot->run = mtvm_registry_function(run);
  for (size_t i = 0; i < aot->count; i++) {
    if (alloc_tensor(aot, i) != 0) {
      mtvm_aot_destroy(aot);
      return NULL;
    }
  }
  return aot;
}

void mtvm_aot_destroy(mtvm_aot_t *aot) {
  for (size_t i = 0; i < aot->count; i++) {
    if (aot->tensors[i].data != NULL) {
      (void)mtvm_memory_free(aot->tensors[i].data, MTVM_BLOCK_TENSOR);
    }
  }
  (void)mtvm_memory_free(aot, MTVM_BLOCK_OBJECT);
}

size_t mtvm_aot_num_inputs(const mtvm_aot_t *aot) { return (size_t)aot->metadata->num_inputs; }

size_t mtvm_aot_num_outputs(const mtvm_aot_t *aot) { return (size_t)aot->metadata->num_outputs; }

DLTensor *mtvm_aot_input(mtvm_aot_t *aot, size_t index) {
  return index < mtvm_aot_num_inputs(aot) ? &aot->tensors[index] : NULL;
}

DLTensor *mtvm_aot_output(mtvm_aot_t *aot, size_t index) {
  return index < mtvm_aot_num_outputs(aot) ? &aot->tensors[mtvm_aot_num_inputs(aot) + index] : NULL;
}

const char *mtvm_aot_input_name(const mtvm_aot_t *aot, size_t index) {
  return index < mtvm_aot_num_inputs(aot) ? aot->metadata->inputs[index].name : NULL;
}

const char *mtvm_aot_output_name(const mtvm_aot_t *aot, size_t index) {
  return index < mtvm_aot_num_outputs(aot) ? aot->metadata->outputs[index].name : NULL;
}

int mtvm_aot_run(mtvm_aot_t *aot) {
  TVMValue result;
  int code;
  return mtvm_kernel_call(aot->run, aot->values, aot->codes, (int)aot->count, &result, &code);
}
