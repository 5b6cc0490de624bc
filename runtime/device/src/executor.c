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

/* Index of the input of that name; the number of inputs when there is none. */
static size_t index_of(const mtvm_aot_t *aot, const char *name) {
  const size_t count = mtvm_aot_num_inputs(aot);
  size_t index = 0;
  while (index < count && strcmp(mtvm_aot_input_name(aot, index), name) != 0) {
    index++;
  }
  return index;
}

static int check_index(int64_t index, size_t count, const char *what) {
  if (index < 0 || (uint64_t)index >= count) {
    return mtvm_error("AOT executor: want one of %d %s, got number %d", what, count, (uint64_t)index);
  }
  return 0;
}

/* The input that the first argument names or numbers. */
static int pick_input(const mtvm_call_t *call, size_t *index) {
  const mtvm_aot_t *aot = executor(call);
  const size_t count = mtvm_aot_num_inputs(aot);
  if (call->codes[0] == kTVMArgInt) {
    *index = (size_t)call->values[0].v_int64;
    return check_index(call->values[0].v_int64, count, "inputs");
  }
  *index = index_of(aot, call->values[0].v_str);
  if (*index == count) {
    return mtvm_error("AOT executor: there is no input \"%s\"", call->values[0].v_str, 0, 0);
  }
  return 0;
}

static int return_tensor(mtvm_call_t *call, DLTensor *tensor, size_t member) {
  mtvm_objects_hold(call->owner);
  call->result.v_handle = tensor;
  return mtvm_return_handle(call, kTVMNDArrayHandle, mtvm_handle(MTVM_TENSOR, call->owner, (uint32_t)member));
}

static int get_input(mtvm_call_t *call) {
  size_t index;
  if (mtvm_want_arguments(call, "k") != 0 || pick_input(call, &index) != 0) {
    return -1;
  }
  return return_tensor(call, mtvm_aot_input(executor(call), index), index);
}

static int set_input(mtvm_call_t *call) {
  const DLTensor *from;
  DLTensor *to;
  uint64_t want;
  uint64_t got;
  size_t index;
  if (mtvm_want_arguments(call, "kt") != 0 || pick_input(call, &index) != 0) {
    return -1;
  }
  from = call->values[1].v_handle;
  to = mtvm_aot_input(executor(call), index);
  if (mtvm_tensor_check(from) != 0 || mtvm_tensor_bytes(from, &got) != 0 || mtvm_tensor_bytes(to, &want) != 0) {
    return -1;
  }
  if (want != got) {
    return mtvm_error("AOT executor: want %d bytes for the input, got %d", "", want, got);
  }
  memmove(to->data, (const uint8_t *)from->data + from->byte_offset, (size_t)want);
  return 0;
}

static int get_output(mtvm_call_t *call) {
  mtvm_aot_t *aot = executor(call);
  const size_t count = mtvm_aot_num_outputs(aot);
  if (mtvm_want_arguments(call, "i") != 0 || check_index(call->values[0].v_int64, count, "outputs") != 0) {
    return -1;
  }
  const size_t index = (size_t)call->values[0].v_int64;
  return return_tensor(call, mtvm_aot_output(aot, index), mtvm_aot_num_inputs(aot) + index);
}

static int get_input_index(mtvm_call_t *call) {
  const mtvm_aot_t *aot = executor(call);
  size_t index;
  if (mtvm_want_arguments(call, "s") != 0) {
    return -1;
  }
  index = index_of(aot, call->values[0].v_str);
  return mtvm_return_int(call, index < mtvm_aot_num_inputs(aot) ? (int64_t)index : -1);
}

static int get_input_name(mtvm_call_t *call) {
  const mtvm_aot_t *aot = executor(call);
  if (mtvm_want_arguments(call, "i") != 0 ||
      check_index(call->values[0].v_int64, mtvm_aot_num_inputs(aot), "inputs") != 0) {
    return -1;
  }
  call->result.v_str = mtvm_aot_input_name(aot, (size_t)call->values[0].v_int64);
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
