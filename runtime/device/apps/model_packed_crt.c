/* SPDX-License-Identifier: Apache-2.0 */
/* The model of standalone firmware whose archive has the packed interface, with TVM's own runtime. */
#include <microtvm/app.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/aot_executor.h>
#include <tvm/runtime/crt/crt.h>
#include <tvm/runtime/crt/module.h>

#include "model_tensor.h"

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

/* Describe one argument of the executor. Its arguments are the inputs, then the outputs.
 *
 * `count` is the number of inputs or outputs, `first` the position of the first one. Returns whether `index`
 * < `count`. */
static bool describe(size_t index, int64_t count, size_t first, mtvm_model_tensor_t *tensor) {
  if (index >= (size_t)count) {
    return false;
  }
  mtvm_model_tensor_from(&executor->args[first + index].dl_tensor, tensor);
  return true;
}

bool mtvm_model_input(size_t index, mtvm_model_tensor_t *tensor) {
  return describe(index, executor->metadata->num_inputs, 0, tensor);
}

bool mtvm_model_output(size_t index, mtvm_model_tensor_t *tensor) {
  return describe(index, executor->metadata->num_outputs, (size_t)executor->metadata->num_inputs, tensor);
}

int mtvm_model_run(void) { return TVMAotExecutor_Run(executor) == 0 ? 0 : -1; }
