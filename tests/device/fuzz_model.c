/* SPDX-License-Identifier: Apache-2.0 */
/* The system library of the fuzzer: the AOT model, and kernels for the recorded graph.
 *
 * Kernels trust their arguments, and a runtime cannot check the shapes that a kernel was compiled for. So
 * each kernel here checks its arguments, and a crash is never the fault of a kernel. The model's lib0.c is
 * compiled with TVMSystemLibEntryPoint renamed to model_system_lib. */
#include <stdlib.h>
#include <string.h>
#include <tvm/runtime/crt/module.h>

#include "tensor.h"

const TVMModule *model_system_lib(void);

#define MAX_FUNCTIONS 32
#define PACKED TVMValue *args, int *codes, int count, TVMValue *result, int *result_code, void *resource

static const char graph_names[] =
    "tvmgen_default_fused_layout_transform\0tvmgen_default_fused_layout_transform_nn_batch_flatten\0"
    "tvmgen_default_fused_nn_contrib_conv2d_NCHWc_nn_relu\0tvmgen_default_fused_nn_contrib_dense_pack\0"
    "tvmgen_default_fused_nn_max_pool2d\0";
#define GRAPH_FUNCTIONS 5u

static TVMBackendPackedCFunc model_run;

static size_t nbytes_of(const TVMValue *args, const int *codes, int count, int index) {
  size_t nbytes;
  if (index >= count || codes[index] != kTVMDLTensorHandle || mtvm_tensor_bytes(args[index].v_handle, &nbytes) != 0) {
    return 0;
  }
  return nbytes;
}

static int guarded_run(PACKED) {
  if (count != 2 || nbytes_of(args, codes, count, 0) != 256 || nbytes_of(args, codes, count, 1) != 40) {
    TVMAPISetLastError("run: arguments of another model");
    return -1;
  }
  return model_run(args, codes, count, result, result_code, resource);
}

static int refuse(PACKED) {
  (void)args, (void)codes, (void)count, (void)result, (void)result_code, (void)resource;
  return -1;
}

/* Read and write every byte of every tensor that the runtime accepted, and use the workspace. */
static int touch(PACKED) {
  (void)result, (void)result_code, (void)resource;
  for (int i = 0; i < count; i++) {
    const size_t nbytes = nbytes_of(args, codes, count, i);
    const DLTensor *tensor = nbytes == 0 ? NULL : args[i].v_handle;
    void *copy = TVMBackendAllocWorkspace(1, 0, nbytes, 0, 8);
    if (copy == NULL) {
      return -1;
    }
    if (tensor != NULL) {
      memcpy(copy, (uint8_t *)tensor->data + tensor->byte_offset, nbytes);
      memcpy((uint8_t *)tensor->data + tensor->byte_offset, copy, nbytes);
    }
    if (TVMBackendFreeWorkspace(1, 0, copy) != 0) {
      return -1;
    }
  }
  return 0;
}

static TVMBackendPackedCFunc guard(const char *name, TVMBackendPackedCFunc function) {
  if (strcmp(name, "tvmgen_default_run") == 0) {
    model_run = function;
    return guarded_run;
  }
  return strcmp(name, "tvmgen_default_get_c_metadata") == 0 ? function : refuse;
}

const TVMModule *TVMSystemLibEntryPoint(void) {
  static char names[4096];
  static TVMBackendPackedCFunc functions[MAX_FUNCTIONS];
  static TVMFuncRegistry registry = {names, functions};
  static const TVMModule module = {&registry};
  if (functions[0] == NULL) {
    const TVMFuncRegistry *model = model_system_lib()->registry;
    const size_t count = (size_t)(uint8_t)model->names[0];
    const char *name = model->names + 2;
    char *to = names + 2;
    for (size_t i = 0; i < count; i++) {
      functions[i] = guard(name, model->funcs[i]);
      memcpy(to, name, strlen(name) + 1);
      to += strlen(name) + 1;
      name += strlen(name) + 1;
    }
    memcpy(to, graph_names, sizeof graph_names);
    for (size_t i = 0; i < GRAPH_FUNCTIONS; i++) {
      functions[count + i] = touch;
    }
    names[0] = (char)(count + GRAPH_FUNCTIONS);
  }
  return &module;
}
