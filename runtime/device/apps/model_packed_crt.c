/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a standalone firmware whose archive has the packed interface, on TVM's own runtime. */
#include <microtvm/app.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/aot_executor.h>
#include <tvm/runtime/crt/crt.h>
#include <tvm/runtime/crt/module.h>

static TVMAotExecutor *executor;

int mtvm_model_open(void) {
  const DLDevice cpu = {kDLCPU, 0};
  TVMModuleHandle library;
  if (TVMInitializeRuntime() != kTvmErrorNoError ||
      TVMModCreateFromCModule(TVMSystemLibEntryPoint(), &library) != 0) {
    return -1;
  }
  return TVMAotExecutor_Create(library, cpu, &executor, mtvm_model_name) == 0 ? 0 : -1;
}

static bool describe(const DLTensor *from, mtvm_model_tensor_t *tensor) {
  tensor->dtype = from->dtype;
  tensor->data = from->data;
  tensor->nbytes = ((size_t)from->dtype.bits * from->dtype.lanes + 7) / 8;
  for (int32_t i = 0; i < from->ndim; i++) {
    tensor->nbytes *= (size_t)from->shape[i];
  }
  return true;
}

/* The executor has its inputs first, then its outputs. */
bool mtvm_model_input(size_t index, mtvm_model_tensor_t *tensor) {
  return index < (size_t)executor->metadata->num_inputs &&
         describe(&executor->args[index].dl_tensor, tensor);
}

bool mtvm_model_output(size_t index, mtvm_model_tensor_t *tensor) {
  const size_t inputs = (size_t)executor->metadata->num_inputs;
  return index < (size_t)executor->metadata->num_outputs &&
         describe(&executor->args[inputs + index].dl_tensor, tensor);
}

int mtvm_model_run(void) { return TVMAotExecutor_Run(executor) == 0 ? 0 : -1; }
