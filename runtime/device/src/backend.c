/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that generated code calls, except those for memory and errors. */
#include <microtvm/function_handle.h>
#include <tvm/runtime/c_backend_api.h>

#include "error.h"

int TVMBackendParallelLaunch(FTVMParallelLambda lambda, void *data, int num_task) {
  TVMParallelGroupEnv env = {.sync_handle = NULL, .num_task = 1};
  (void)num_task; /* the lambda divides its work by env.num_task */
  return lambda(0, &env, data);
}

int TVMBackendParallelBarrier(int task_id, TVMParallelGroupEnv *env) {
  (void)task_id;
  (void)env;
  return 0;
}

int TVMBackendRunOnce(void **handle, int (*function)(void *), void *data, int nbytes) {
  (void)nbytes;
  if (*handle != NULL) {
    return 0;
  }
  const int result = function(data);
  /* After a failure the next call runs the function again and reports again. */
  *handle = result == 0 ? handle : NULL;
  return result;
}

/* Fail. C++ programs register symbols at start-up; here the system library has a table of its functions. */
int TVMBackendRegisterSystemLibSymbol(const char *name, void *symbol) {
  (void)symbol;
  return mtvm_error("cannot register symbol %s", name);
}

int TVMFuncCall(TVMFunctionHandle function, TVMValue *args, int *type_codes, int num_args, TVMValue *ret_value,
                int *ret_type_code) {
  const TVMBackendPackedCFunc packed = mtvm_from_handle(function);
  return packed(args, type_codes, num_args, ret_value, ret_type_code, NULL);
}

int TVMFuncFree(TVMFunctionHandle function) {
  (void)function;
  return 0;
}

int TVMCFuncSetReturn(TVMRetValueHandle ret, TVMValue *value, int *type_code, int num_ret) {
  (void)type_code;
  if (num_ret != 1) {
    return mtvm_want("return values", 1, num_ret);
  }
  *(TVMValue *)ret = *value;
  return 0;
}
