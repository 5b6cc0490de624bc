/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that a host drives: everything it does is asked for over the link. */
#include <microtvm/aot.h>
#include <microtvm/app.h>
#include <microtvm/config.h>
#include <microtvm/platform.h>
#include <microtvm/server.h>
#include <string.h>
#include <tvm/runtime/c_backend_api.h>

static bool serving;

static void send(void *context, const uint8_t *data, size_t n) {
  (void)context;
  (void)mtvm_platform_write(data, n); /* a link that is closed shows at the next read */
}

/* A log message; plain text as long as there is no server to frame it. */
void mtvm_app_say(const char *text) {
  if (serving) {
    mtvm_log(text);
  } else {
    send(NULL, (const uint8_t *)text, strlen(text));
    send(NULL, (const uint8_t *)"\n", 1);
  }
}

/* mtvm.about(index): what the host tools ask of a firmware. */
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
      TVMAPISetLastError("mtvm.about knows the numbers 0 to 4");
      return -1;
  }
}

int main(void) {
  static mtvm_server_t server;
  const mtvm_server_config_t config = {
      mtvm_packet_buffer, mtvm_packet_buffer_size, mtvm_workspace, mtvm_workspace_size, send, NULL,
  };
  uint8_t bytes[MTVM_RECEIVE_BYTES];
  size_t n;
  if (TVMPlatformInitialize() != kTvmErrorNoError) {
    TVMPlatformAbort(kTvmErrorPlatformCheckFailure);
  }
  if (mtvm_server_init(&server, &config) != 0) {
    mtvm_app_say(mtvm_error_text());
    TVMPlatformAbort(kTvmErrorPlatformCheckFailure);
  }
  serving = true;
  (void)TVMFuncRegisterGlobal("mtvm.about", (TVMFunctionHandle)(uintptr_t)about, 0);
  while ((n = mtvm_platform_read(bytes, sizeof bytes)) > 0) {
    mtvm_server_feed(&server, bytes, n);
  }
  return 0;
}
