/* SPDX-License-Identifier: Apache-2.0 */
/* What the body of a generated kernel calls. */
#ifndef MTVM_C_BACKEND_API_H
#define MTVM_C_BACKEND_API_H

#include <tvm/runtime/c_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int (*TVMBackendPackedCFunc)(TVMValue *args, int *type_codes, int num_args, TVMValue *out_value,
                                     int *out_type_code, void *resource_handle);

typedef struct {
  void *sync_handle;
  int32_t num_task;
} TVMParallelGroupEnv;

typedef int (*FTVMParallelLambda)(int task_id, TVMParallelGroupEnv *env, void *data);

TVM_DLL int TVMBackendGetFuncFromEnv(void *module, const char *name, TVMFunctionHandle *out);

/* Returns -1 with the last error set: this runtime finds functions in the table of the system library. */
TVM_DLL int TVMBackendRegisterSystemLibSymbol(const char *name, void *symbol);

/* A stack: freed in the reverse order. NULL when memory is short, with the last error set. */
TVM_DLL void *TVMBackendAllocWorkspace(int device_type, int device_id, uint64_t nbytes, int dtype_code_hint,
                                       int dtype_bits_hint);
TVM_DLL int TVMBackendFreeWorkspace(int device_type, int device_id, void *data);

/* The device has one core to give: the lambda runs once, as the only task of its group. */
TVM_DLL int TVMBackendParallelLaunch(FTVMParallelLambda lambda, void *data, int num_task);
TVM_DLL int TVMBackendParallelBarrier(int task_id, TVMParallelGroupEnv *env);

/* Call function(data) unless an earlier call through this handle succeeded. The handle starts as NULL; data is
 * not kept, so nbytes, its size, does not matter. Returns what the function returns, or 0. */
TVM_DLL int TVMBackendRunOnce(void **handle, int (*function)(void *), void *data, int nbytes);

#ifdef __cplusplus
}
#endif

#endif
