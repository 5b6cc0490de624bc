/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that a host drives: everything it does is asked for over the link. */
#include <microtvm/app.h>
#include <microtvm/config.h>
#include <microtvm/platform.h>
#include <microtvm/server.h>
#include <string.h>

#include "about.h"

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

int main(void) {
  static mtvm_server_t server;
  const mtvm_server_config_t config = {
      mtvm_packet_buffer, mtvm_packet_buffer_size, mtvm_workspace,   mtvm_workspace_size,
      send,               NULL,                    mtvm_input_names, mtvm_output_names,
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
  (void)mtvm_about_register();
  while ((n = mtvm_platform_read(bytes, sizeof bytes)) > 0) {
    mtvm_server_feed(&server, bytes, n);
  }
  return 0;
}
