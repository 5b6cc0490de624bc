/* SPDX-License-Identifier: Apache-2.0 */
/* mtvm.about(index): what the host tools ask of a firmware. For the apps that answer a host; 0, or -1 when the
 * function cannot be registered. */
#ifndef MTVM_APPS_ABOUT_H
#define MTVM_APPS_ABOUT_H

#include <microtvm/aot.h>
#include <microtvm/app.h>
#include <microtvm/platform.h>
#include <tvm/runtime/c_backend_api.h>
#include <tvm/runtime/c_runtime_api.h>

static int mtvm_about(TVMValue *args, int *codes, int count, TVMValue *result, int *result_code, void *resource) {
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
      TVMAPISetLastError("mtvm.about knows the numbers 0 to 4");
      return -1;
  }
}

static int mtvm_about_register(void) {
  return TVMFuncRegisterGlobal("mtvm.about", (TVMFunctionHandle)(uintptr_t)mtvm_about, 0) == 0 ? 0 : -1;
}

#endif
