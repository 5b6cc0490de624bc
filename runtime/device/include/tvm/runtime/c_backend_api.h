/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that generated kernels call. */
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

/* Fail: this runtime finds functions in the table of the system library. Returns -1 with the last error
 * set. */
TVM_DLL int TVMBackendRegisterSystemLibSymbol(const char *name, void *symbol);

/* Allocate and free workspace of `nbytes` bytes. Blocks must be freed in the reverse order of their
 * allocation.
 *
 * The allocation returns NULL with the last error set when memory is short. */
TVM_DLL void *TVMBackendAllocWorkspace(int device_type, int device_id, uint64_t nbytes, int dtype_code_hint,
                                       int dtype_bits_hint);
TVM_DLL int TVMBackendFreeWorkspace(int device_type, int device_id, void *data);

/* Run `lambda` once, as the only task of its group: the device uses one core. */
TVM_DLL int TVMBackendParallelLaunch(FTVMParallelLambda lambda, void *data, int num_task);
TVM_DLL int TVMBackendParallelBarrier(int task_id, TVMParallelGroupEnv *env);

/* Call function(data) unless an earlier call with this handle succeeded.
 *
 * The handle is initially NULL. `data` is not copied, so its size `nbytes` is not used. Returns the result of
 * the function, or 0 when it is not called. */
TVM_DLL int TVMBackendRunOnce(void **handle, int (*function)(void *), void *data, int nbytes);

#ifdef __cplusplus
}
#endif

#endif
