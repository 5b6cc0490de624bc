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
  if (mtvm_want_arguments(call, "mds") != 0) {
    return -1;
  }
  mtvm_aot_t *aot = mtvm_aot_create(call->values[2].v_str);
  if (aot == NULL) {
    return -1;
  }
  const int owner = mtvm_objects_add(aot, MTVM_MODULE, drop);
  if (owner < 0) {
    drop(aot);
    return -1;
  }
  return mtvm_return_handle(call, kTVMModuleHandle, mtvm_handle(MTVM_MODULE, (uint32_t)owner, 0));
}

enum { INPUT, OUTPUT };

/* The names of inputs and outputs in the trained model; NULL when unknown. */
static const char *const *true_names[2];

void mtvm_executor_set_names(const char *const *inputs, const char *const *outputs) {
  true_names[INPUT] = inputs;
  true_names[OUTPUT] = outputs;
}

/* Return the name of a tensor in the generated code; NULL when `index` is too large. */
static const char *c_name(const mtvm_aot_t *aot, int side, size_t index) {
  return side == INPUT ? mtvm_aot_input_name(aot, index) : mtvm_aot_output_name(aot, index);
}

static const char *name_of(const mtvm_aot_t *aot, int side, size_t index) {
  const char *const *names = true_names[side];
  for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
    if (i == index) {
      return names[i];
    }
  }
  return c_name(aot, side, index);
}

typedef const char *(*name_fn)(const mtvm_aot_t *aot, int side, size_t index);

/* Count the tensors called `name`, and set `index` to the last of them. */
static size_t find(const mtvm_aot_t *aot, int side, name_fn called, const char *name, size_t *index) {
  size_t found = 0;
  for (size_t i = 0; c_name(aot, side, i) != NULL; i++) {
    if (strcmp(called(aot, side, i), name) == 0) {
      *index = i;
      found++;
    }
  }
  return found;
}

/* Find a tensor by its name in the trained model, or else by its name in the generated code.
 *
 * Returns 0 with `index` set. Returns -1 for no tensor and for several, with an error that lists all
 * names. */
static int index_of(const mtvm_aot_t *aot, int side, const char *name, size_t *index) {
  const size_t found = find(aot, side, name_of, name, index);
  if (found == 1 || (found == 0 && find(aot, side, c_name, name, index) == 1)) {
    return 0;
  }
  (void)mtvm_error("no unique tensor %s among:", name);
  for (size_t i = 0; c_name(aot, side, i) != NULL; i++) {
    mtvm_error_add(" ");
    mtvm_error_add(name_of(aot, side, i));
  }
  return -1;
}

/* Find the input or output whose index or name is the first argument. */
static int pick(const mtvm_call_t *call, int side, size_t *index) {
  if (mtvm_want_arguments(call, "k") != 0) {
    return -1;
  }
  const TVMValue first = call->values[0];
  if (call->codes[0] == kTVMStr) {
    return index_of(executor(call), side, first.v_str, index);
  }
  *index = first.v_int64 < 0 ? SIZE_MAX : (size_t)mtvm_clip(first.v_int64);
  return c_name(executor(call), side, *index) != NULL ? 0 : mtvm_error_hex("no tensor", *index);
}

static int return_tensor(mtvm_call_t *call, DLTensor *tensor, size_t member) {
  mtvm_objects_hold(call->owner);
  call->result.v_handle = tensor;
  return mtvm_return_handle(call, kTVMNDArrayHandle, mtvm_handle(MTVM_TENSOR, call->owner, (uint32_t)member));
}

static int get_input(mtvm_call_t *call) {
  size_t index;
  if (pick(call, INPUT, &index) != 0) {
    return -1;
  }
  return return_tensor(call, mtvm_aot_input(executor(call), index), index);
}

static int get_output(mtvm_call_t *call) {
  size_t index;
  if (pick(call, OUTPUT, &index) != 0) {
    return -1;
  }
  mtvm_aot_t *aot = executor(call);
  return return_tensor(call, mtvm_aot_output(aot, index), mtvm_aot_num_inputs(aot) + index);
}

static int set_input(mtvm_call_t *call) {
  size_t index;
  if (mtvm_want_arguments(call, "kt") != 0 || pick(call, INPUT, &index) != 0) {
    return -1;
  }
  const DLTensor *to = mtvm_aot_input(executor(call), index);
  size_t want;
  size_t got;
  const uint8_t *elements = mtvm_tensor_elements(call->values[1].v_handle, &got);
  if (elements == NULL || mtvm_tensor_bytes(to, &want) != 0) {
    return -1;
  }
  if (want != got) {
    return mtvm_want("input bytes", (intptr_t)want, (intptr_t)got);
  }
  memmove(to->data, elements, want);
  return 0;
}

/* Return the index of an input to the host; -1 when the input does not exist. */
static int get_input_index(mtvm_call_t *call) {
  size_t index;
  if (mtvm_want_arguments(call, "s") != 0) {
    return -1;
  }
  if (index_of(executor(call), INPUT, call->values[0].v_str, &index) != 0) {
    return mtvm_return_int(call, -1);
  }
  return mtvm_return_int(call, (int64_t)index);
}

static int get_input_name(mtvm_call_t *call) {
  size_t index;
  if (pick(call, INPUT, &index) != 0) {
    return -1;
  }
  call->result.v_str = name_of(executor(call), INPUT, index);
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
