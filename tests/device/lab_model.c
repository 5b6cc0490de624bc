/* SPDX-License-Identifier: Apache-2.0 */
/* A system library whose functions behave as real kernels do only after an error. */
#include <microtvm/server.h>
#include <string.h>
#include <tvm/runtime/crt/module.h>
#include <tvm/runtime/metadata_types.h>

#define KERNEL(name) \
  static int name(TVMValue *args, int *codes, int count, TVMValue *result, int *result_code, void *resource)
#define UNUSED ((void)args, (void)codes, (void)count, (void)result, (void)result_code, (void)resource)

static size_t elements(const DLTensor *tensor) {
  size_t n = 1;
  for (int32_t i = 0; i < tensor->ndim; i++) {
    n *= (size_t)tensor->shape[i];
  }
  return n;
}

KERNEL(add_one) {
  const DLTensor *from = args[0].v_handle;
  const DLTensor *to = args[1].v_handle;
  UNUSED;
  for (size_t i = 0; i < elements(to); i++) {
    ((float *)to->data)[i] = ((const float *)from->data)[i] + 1;
  }
  return 0;
}

KERNEL(fails_without_a_word) {
  UNUSED;
  return -1;
}

KERNEL(fails_and_says_why) {
  UNUSED;
  TVMAPISetLastError("Assert fail: the shape is wrong");
  return -1;
}

/* Allocate args[0] bytes of workspace twice, and free both blocks in reverse order. */
KERNEL(uses_workspace) {
  void *first = TVMBackendAllocWorkspace(1, 0, (uint64_t)args[0].v_int64, 2, 32);
  void *second = first == NULL ? NULL : TVMBackendAllocWorkspace(1, 0, (uint64_t)args[0].v_int64, 2, 32);
  UNUSED;
  if (second == NULL) {
    return -1;
  }
  memset(first, 1, (size_t)args[0].v_int64);
  memset(second, 2, (size_t)args[0].v_int64);
  return TVMBackendFreeWorkspace(1, 0, second) != 0 || TVMBackendFreeWorkspace(1, 0, first) != 0 ? -1 : 0;
}

KERNEL(leaks_workspace) {
  UNUSED;
  return TVMBackendAllocWorkspace(1, 0, 1000, 2, 32) == NULL ? -1 : 0;
}

KERNEL(frees_in_the_wrong_order) {
  void *first = TVMBackendAllocWorkspace(1, 0, 8, 2, 32);
  UNUSED;
  (void)TVMBackendAllocWorkspace(1, 0, 8, 2, 32);
  return TVMBackendFreeWorkspace(1, 0, first);
}

KERNEL(writes_past_its_tensor) {
  const DLTensor *to = args[0].v_handle;
  UNUSED;
  memset(to->data, 0x77, elements(to) * 4 + 128);
  return 0;
}

/* Return the first argument. */
KERNEL(echo) {
  UNUSED;
  *result = args[0];
  *result_code = codes[0];
  return 0;
}

KERNEL(number_of_arguments) {
  UNUSED;
  result->v_int64 = count;
  *result_code = kTVMArgInt;
  return 0;
}

KERNEL(does_nothing) {
  UNUSED;
  return 0;
}

KERNEL(says_hello) {
  UNUSED;
  mtvm_log("hello from a kernel");
  return 0;
}

static int task(int id, TVMParallelGroupEnv *env, void *data) {
  int64_t *sum = data;
  for (int64_t i = id; i < 100; i += env->num_task) {
    *sum += i;
  }
  return TVMBackendParallelBarrier(id, env);
}

KERNEL(runs_in_parallel) {
  UNUSED;
  result->v_int64 = 0;
  *result_code = kTVMArgInt;
  return TVMBackendParallelLaunch(task, result, 0);
}

/* Call another kernel by name, as generated code calls packed functions. */
KERNEL(calls_by_name) {
  TVMFunctionHandle function;
  UNUSED;
  if (TVMBackendGetFuncFromEnv(NULL, args[0].v_str, &function) != 0) {
    return -1;
  }
  return TVMFuncCall(function, args, codes, count, result, result_code);
}

static int64_t linked_parameter[4] = {1, 2, 3, 4};

KERNEL(lookup_linked_param) {
  UNUSED;
  if (args[0].v_int64 == 3) {
    result->v_handle = linked_parameter;
    *result_code = kTVMOpaqueHandle;
  }
  return 0;
}

KERNEL(sum) {
  const DLTensor *from = args[0].v_handle;
  UNUSED;
  result->v_int64 = 0;
  *result_code = kTVMArgInt;
  for (size_t i = 0; i < elements(from); i++) {
    result->v_int64 += ((const int64_t *)from->data)[i];
  }
  return 0;
}

/* An AOT module with two inputs and two outputs, one of each a scalar: scaled = data * factor. */
static const int64_t data_shape[] = {2, 3};
static const struct TVMTensorInfo inputs[] = {{"data", data_shape, 2, {2, 32, 1}}, {"factor", NULL, 0, {2, 32, 1}}};
static const struct TVMTensorInfo outputs[] = {{"scaled", data_shape, 2, {2, 32, 1}}, {"count", NULL, 0, {0, 8, 1}}};
static const struct TVMMetadata metadata = {1, inputs, 2, outputs, 2, NULL, 0, NULL, 0, "tvmgen_scale"};

KERNEL(scale_metadata) {
  UNUSED;
  result->v_handle = (void *)(uintptr_t)&metadata;
  *result_code = kTVMOpaqueHandle;
  return 0;
}

KERNEL(scale_run) {
  const DLTensor *data = args[0].v_handle;
  const float factor = *(const float *)((const DLTensor *)args[1].v_handle)->data;
  UNUSED;
  for (size_t i = 0; i < 6; i++) {
    ((float *)((DLTensor *)args[2].v_handle)->data)[i] = ((const float *)data->data)[i] * factor;
  }
  *(int8_t *)((DLTensor *)args[3].v_handle)->data = 6;
  return 0;
}

/* clang-format off */
static const TVMBackendPackedCFunc functions[] = {
    add_one,         fails_without_a_word, fails_and_says_why,   uses_workspace,   leaks_workspace,
    echo,            says_hello,           runs_in_parallel,     calls_by_name,    lookup_linked_param,
    sum,             scale_metadata,       scale_run,            scale_run,        frees_in_the_wrong_order,
    writes_past_its_tensor, number_of_arguments, number_of_arguments,
};
/* clang-format on */

#define LONG_NAME                                                                                        \
  "tvmgen_default_fused_nn_contrib_depthwise_conv2d_NCHWc_add_fixed_point_multiply_clip_cast_clip_cast_" \
  "subtract_cast_multiply_add_right_shift_cast__9cfb95e5e544caa9__1"

static const TVMFuncRegistry default_registry = {
    "\022\000add_one\000fails_without_a_word\000fails_and_says_why\000uses_workspace\000leaks_workspace\000echo\000"
    "says_hello\000runs_in_parallel\000calls_by_name\000_lookup_linked_param\000sum\000"
    "tvmgen_scale_get_c_metadata\000tvmgen_scale_run\000tvmgen_llvm___tvm_main__\000"
    "frees_in_the_wrong_order\000writes_past_its_tensor\000number_of_arguments\000" LONG_NAME "\000",
    functions};

/* The current table; tests replace it. */
const TVMFuncRegistry *lab_registry = &default_registry;
static TVMModule module;

const TVMModule *TVMSystemLibEntryPoint(void) {
  module.registry = lab_registry;
  return &module;
}

static TVMBackendPackedCFunc many[1000];
static TVMFuncRegistry lab;

/* Use a table of `count` functions that do nothing, with these names; NULL selects the default table. */
void lab_set_names(const char *names, size_t count) {
  for (size_t i = 0; i < count && i < sizeof many / sizeof many[0]; i++) {
    many[i] = does_nothing;
  }
  lab.names = names;
  lab.funcs = many;
  lab_registry = names == NULL ? &default_registry : &lab;
}

int lab_register_global(const char *name) {
  return TVMFuncRegisterGlobal(name, (TVMFunctionHandle)(uintptr_t)number_of_arguments, 0);
}
