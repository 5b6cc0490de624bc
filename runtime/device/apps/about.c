/* SPDX-License-Identifier: Apache-2.0 */
#include "about.h"

#include <microtvm/app.h>
#include <microtvm/function_handle.h>
#include <microtvm/memory.h>
#include <microtvm/platform.h>
#include <tvm/runtime/c_runtime_api.h>

static int about(TVMValue *args, int *codes, int count, TVMValue *result, int *result_code, void *resource) {
  const int64_t index = count == 1 && codes[0] == kTVMArgInt ? args[0].v_int64 : -1;
  (void)resource;
  *result_code = kTVMArgInt;
  switch (index) {
    case 0:
      result->v_int64 = (int64_t)mtvm_firmware_id;
      return 0;
    case 1:
      result->v_int64 = (int64_t)mtvm_platform_stack_used();
      return 0;
    case 2:
      result->v_int64 = (int64_t)mtvm_platform_stack_size();
      return 0;
    case 3:
      result->v_int64 = (int64_t)mtvm_memory_peak();
      return 0;
    case 4:
      result->v_int64 = (int64_t)mtvm_workspace_size;
      return 0;
    default:
      TVMAPISetLastError("mtvm.about: expected index 0 to 4");
      return -1;
  }
}

int mtvm_about_register(void) { return TVMFuncRegisterGlobal("mtvm.about", mtvm_to_handle(about), 0) == 0 ? 0 : -1; }
