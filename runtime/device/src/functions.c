/* SPDX-License-Identifier: Apache-2.0 */
#include "functions.h"

#include <string.h>

#include "error.h"
#include "evaluator.h"
#include "executor.h"
#include "globals.h"
#include "memory.h"
#include "objects.h"
#include "random.h"
#include "registry.h"
#include "session.h"
#include "stored.h"

static int system_lib(mtvm_call_t *call) {
  return mtvm_return_handle(call, kTVMModuleHandle, mtvm_handle(MTVM_MODULE, MTVM_OWNER_SYSTEM_LIB, 0));
}

static int module_get_function(mtvm_call_t *call) {
  uint64_t handle;
  if (mtvm_want_arguments(call, "ms") != 0 ||
      mtvm_find_in_module((uint64_t)call->values[0].v_int64, call->values[1].v_str, &handle) != 0) {
    return -1;
  }
  return handle == 0 ? 0 : mtvm_return_handle(call, kTVMPackedFuncHandle, handle);
}

/* Return the largest message to the host, which cuts copies accordingly. The host does not count the length
 * field, a u64. */
static int max_packet_size(mtvm_call_t *call) {
  return mtvm_return_int(call, (int64_t)(mtvm_max_message() - sizeof(uint64_t)));
}

static const mtvm_named_fn_t natives[] = {
    {"runtime.SystemLib", system_lib},
    {"tvm.rpc.server.ModuleGetFunction", module_get_function},
    {"tvm.rpc.server.GetCRTMaxPacketSize", max_packet_size},
    {"runtime.RPCTimeEvaluator", mtvm_evaluator_create},
    {"tvm.aot_executor.create", mtvm_executor_create},
    {"tvm.contrib.random.random_fill", mtvm_random_fill},
    {"mtvm.call_stored", mtvm_stored_call},
};
#define NATIVES (sizeof natives / sizeof natives[0])

static size_t find_native(const mtvm_named_fn_t *functions, size_t count, const char *name) {
  size_t index = 0;
  while (index < count && strcmp(functions[index].name, name) != 0) {
    index++;
  }
  return index;
}

/* Members of the global owner: the runtime's functions, then the firmware's. */
uint64_t mtvm_find_global(const char *name) {
  size_t index = find_native(natives, NATIVES, name);
  if (index == NATIVES) {
    const size_t global = mtvm_global_find(name);
    if (global == mtvm_global_count()) {
      return 0;
    }
    index += global;
  }
  return mtvm_handle(MTVM_FUNCTION, MTVM_OWNER_GLOBAL, (uint32_t)index);
}

int mtvm_find_in_module(uint64_t module, const char *name, uint64_t *handle) {
  if (module == 0) {
    *handle = mtvm_find_global(name);
    return 0;
  }
  uint32_t owner;
  uint32_t member;
  if (mtvm_handle_find(module, MTVM_MODULE, &owner, &member) != 0) {
    return -1;
  }
  size_t index;
  size_t count;
  if (owner == MTVM_OWNER_SYSTEM_LIB) {
    count = mtvm_registry_count();
    index = mtvm_registry_find(name, "", "");
  } else {
    count = mtvm_executor_function_count;
    index = find_native(mtvm_executor_functions, count, name);
  }
  *handle = index == count ? 0 : mtvm_handle(MTVM_FUNCTION, owner, (uint32_t)index);
  return 0;
}

static int global_function(uint32_t member, mtvm_function_t *function) {
  if (member < NATIVES) {
    function->native = natives[member].call;
    return 0;
  }
  member -= (uint32_t)NATIVES;
  if (member >= mtvm_global_count()) {
    return -1;
  }
  function->packed = mtvm_global_function(member);
  return 0;
}

static int system_function(uint32_t member, mtvm_function_t *function) {
  if (member >= mtvm_registry_count()) {
    return -1;
  }
  function->packed = mtvm_registry_function(member);
  return 0;
}

static int object_function(uint32_t owner, uint32_t member, mtvm_function_t *function) {
  function->object = mtvm_object(owner);
  function->owner = owner;
  if (mtvm_object_kind(owner) == MTVM_FUNCTION) {
    function->native = mtvm_evaluator_run;
    return 0;
  }
  if (member >= mtvm_executor_function_count) {
    return -1;
  }
  function->native = mtvm_executor_functions[member].call;
  return 0;
}

int mtvm_function_of(uint64_t handle, mtvm_function_t *function) {
  uint32_t owner;
  uint32_t member;
  memset(function, 0, sizeof *function);
  if (mtvm_handle_find(handle, MTVM_FUNCTION, &owner, &member) != 0) {
    return -1;
  }
  int failed;
  if (owner == MTVM_OWNER_GLOBAL) {
    failed = global_function(member, function);
  } else if (owner == MTVM_OWNER_SYSTEM_LIB) {
    failed = system_function(member, function);
  } else {
    failed = object_function(owner, member, function);
  }
  return failed == 0 ? 0 : mtvm_error_hex("not a function handle:", (uintptr_t)handle);
}

int mtvm_call(const mtvm_function_t *function, mtvm_call_t *call) {
  call->handle = 0;
  if (function->packed != NULL) {
    return mtvm_kernel_call(function->packed, call->values, call->codes, call->count, &call->result,
                            &call->result_code);
  }
  call->result_code = kTVMNullptr;
  call->object = function->object;
  call->owner = function->owner;
  return function->native(call);
}
