/* SPDX-License-Identifier: Apache-2.0 */
#include "executor.h"

#include <microtvm/aot.h>
#include <string.h>

#include "error.h"
#include "objects.h"
#include "tensor.h"

static mtvm_aot_t *executor(const mtvm_call_t *call) { return call->object; }

static void drop(void *object) { mtvm_aot_destroy(object); }

int mtvm_executor_create(mtvm_call_t *call) {
  mtvm_aot_t *aot;
  int owner;
  if (mtvm_want_arguments(call, "mds") != 0) {
    return -1;
  }
  aot = mtvm_aot_create(call->values[2].v_str);
  if (aot == NULL) {
    return -1;
  }
  owner = mtvm_objects_add(aot, MTVM_MODULE, drop);
  if (owner < 0) {
    drop(aot);
    return -1;
  }
  return mtvm_return_handle(call, kTVMModuleHandle, mtvm_handle(MTVM_MODULE, (uint32_t)owner, 0));
}

typedef const char *(*name_fn)(const mtvm_aot_t *aot, size_t index);

/* Index of the input or output of that name; their number when there is none. */
static size_t index_of(const mtvm_aot_t *aot, name_fn name_of, const char *name) {
  size_t index = 0;
  while (name_of(aot, index) != NULL && strcmp(name_of(aot, index), name) != 0) {
    index++;
  }
  return index;
}

/* The input or output that the first argument numbers or names. */
static int pick(const mtvm_call_t *call, name_fn name_of, size_t *index) {
  TVMValue first;
  if (mtvm_want_arguments(call, "k") != 0) {
    return -1;
  }
  first = call->values[0];
  if (call->codes[0] == kTVMStr) {
    *index = index_of(executor(call), name_of, first.v_str);
    return name_of(executor(call), *index) != NULL ? 0 : mtvm_error("no tensor %s", first.v_str);
  }
  *index = first.v_int64 < 0 ? SIZE_MAX : (size_t)mtvm_clip(first.v_int64);
  if (name_of(executor(call), *index) != NULL) {
    return 0;
  }
  return mtvm_error_hex("no input or output number", *index);
}

static int return_tensor(mtvm_call_t *call, DLTensor *tensor, size_t member) {
  mtvm_objects_hold(call->owner);
  call->result.v_handle = tensor;
  return mtvm_return_handle(call, kTVMNDArrayHandle, mtvm_handle(MTVM_TENSOR, call->owner, (uint32_t)member));
}

static int get_input(mtvm_call_t *call) {
  size_t index;
  if (pick(call, mtvm_aot_input_name, &index) != 0) {
    return -1;
  }
  return return_tensor(call, mtvm_aot_input(executor(call), index), index);
}

static int get_output(mtvm_call_t *call) {
  mtvm_aot_t *aot = executor(call);
  size_t index;
  if (pick(call, mtvm_aot_output_name, &index) != 0) {
    return -1;
  }
  return return_tensor(call, mtvm_aot_output(aot, index), mtvm_aot_num_inputs(aot) + index);
}

static int set_input(mtvm_call_t *call) {
  const uint8_t *elements;
  const DLTensor *to;
  size_t want;
  size_t got;
  size_t index;
  if (mtvm_want_arguments(call, "kt") != 0 || pick(call, mtvm_aot_input_name, &index) != 0) {
    return -1;
  }
  to = mtvm_aot_input(executor(call), index);
  elements = mtvm_tensor_elements(call->values[1].v_handle, &got);
  if (elements == NULL || mtvm_tensor_bytes(to, &want) != 0) {
    return -1;
  }
  if (want != got) {
    return mtvm_want("bytes of the input", (intptr_t)want, (intptr_t)got);
  }
  memmove(to->data, elements, want);
  return 0;
}

static int get_input_index(mtvm_call_t *call) {
  size_t index;
  if (mtvm_want_arguments(call, "s") != 0) {
    return -1;
  }
  index = index_of(executor(call), mtvm_aot_input_name, call->values[0].v_str);
  return mtvm_return_int(call, index < mtvm_aot_num_inputs(executor(call)) ? (int64_t)index : -1);
}

static int get_input_name(mtvm_call_t *call) {
  size_t index;
  if (pick(call, mtvm_aot_input_name, &index) != 0) {
    return -1;
  }
  call->result.v_str = mtvm_aot_input_name(executor(call), index);
  call->result_code = kTVMStr;
  return 0;
}

static int get_num_inputs(mtvm_call_t *call) {
  return mtvm_return_int(call, (int64_t)mtvm_aot_num_inputs(executor(call)));
}

static int get_num_outputs(mtvm_call_t *call) {
  return mtvm_return_int(call, (int64_t)mtvm_aot_num_outputs(executor(call)));
}

static int run(mtvm_call_t *call) { return mtvm_aot_run(executor(call)); }

const mtvm_named_fn_t mtvm_executor_functions[] = {
    {"run", run},
    {"set_input", set_input},
    {"get_input", get_input},
    {"get_output", get_output},
    {"get_input_index", get_input_index},
    {"get_input_name", get_input_name},
    {"get_num_inputs", get_num_inputs},
    {"get_num_outputs", get_num_outputs},
};
const size_t mtvm_executor_function_count = sizeof mtvm_executor_functions / sizeof mtvm_executor_functions[0];
