/* SPDX-License-Identifier: Apache-2.0 */
/* The types and functions of TVM's C ABI that generated code uses. */
#ifndef MTVM_C_RUNTIME_API_H
#define MTVM_C_RUNTIME_API_H

/* The C code generator defines TVM_EXPORTS in its files. Their infinities and NaNs need declarations. */
#ifdef TVM_EXPORTS
#include <microtvm/constants.h>
#endif

#include <dlpack/dlpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef TVM_DLL
#define TVM_DLL
#endif

#ifndef TVM_WEAK
#if defined(__GNUC__)
#define TVM_WEAK __attribute__((weak))
#else
#define TVM_WEAK
#endif
#endif

#ifndef TVM_ATTRIBUTE_UNUSED
#if defined(__GNUC__)
#define TVM_ATTRIBUTE_UNUSED __attribute__((unused))
#else
#define TVM_ATTRIBUTE_UNUSED
#endif
#endif

/* Files with the constants of a planned memory use these two names without including math.h. The whole of
 * math.h would declare names such as y0 and gamma in user code. */
#if defined(__GNUC__)
#ifndef INFINITY
#define INFINITY (__builtin_inff())
#endif
#ifndef NAN
#define NAN (__builtin_nanf(""))
#endif
#else
#include <math.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The type of shapes and strides. */
typedef int64_t tvm_index_t;

/* The type of the eight bytes of a TVMValue. The wire uses the same type codes. */
typedef enum {
  kTVMArgInt = 0,
  kTVMArgFloat = 2,
  kTVMOpaqueHandle = 3,
  kTVMNullptr = 4,
  kTVMDataType = 5,
  kDLDevice = 6,
  kTVMDLTensorHandle = 7,
  kTVMObjectHandle = 8,
  kTVMModuleHandle = 9,
  kTVMPackedFuncHandle = 10,
  kTVMStr = 11,
  kTVMBytes = 12,
  kTVMNDArrayHandle = 13,
  kTVMObjectRValueRefArg = 14,
  kTVMArgBool = 15,
} TVMArgTypeCode;

typedef union {
  int64_t v_int64;
  double v_float64;
  void *v_handle;
  const char *v_str;
  DLDataType v_type;
  DLDevice v_device;
} TVMValue;

typedef struct {
  const char *data;
  size_t size;
} TVMByteArray;

typedef void *TVMModuleHandle;
typedef void *TVMFunctionHandle;
typedef void *TVMRetValueHandle;
typedef void *TVMStreamHandle;
typedef void *TVMObjectHandle;
typedef DLTensor *TVMArrayHandle;

typedef int (*TVMPackedCFunc)(TVMValue *args, int *type_codes, int num_args, TVMRetValueHandle ret,
                              void *resource_handle);
typedef void (*TVMPackedCFuncFinalizer)(void *resource_handle);

/* Set the last error. The text is copied. The exception that replies to the current call contains it. */
TVM_DLL void TVMAPISetLastError(const char *text);
TVM_DLL const char *TVMGetLastError(void);

/* Register, find, call and free functions. A TVMFunctionHandle is the address of a TVMBackendPackedCFunc.
 *
 * The first two return 0, or -1 with the last error set. `name` is not copied: it must live as long as the
 * program. */
TVM_DLL int TVMFuncRegisterGlobal(const char *name, TVMFunctionHandle function, int override);
TVM_DLL int TVMFuncGetGlobal(const char *name, TVMFunctionHandle *function);
TVM_DLL int TVMFuncCall(TVMFunctionHandle function, TVMValue *args, int *type_codes, int num_args,
                        TVMValue *ret_value, int *ret_type_code);
TVM_DLL int TVMFuncFree(TVMFunctionHandle function);
TVM_DLL int TVMCFuncSetReturn(TVMRetValueHandle ret, TVMValue *value, int *type_code, int num_ret);

#ifdef __cplusplus
}
#endif

#endif
