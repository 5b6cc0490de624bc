/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that a host drives: everything it does is asked for over the link. */
#include <microtvm/app.h>
#include <microtvm/config.h>
#include <microtvm/platform.h>
#include <microtvm/server.h>

static void send(void *context, const uint8_t *data, size_t n) {
  (void)context;
  (void)mtvm_platform_write(data, n); /* a link that is closed shows at the next read */
}

int main(void) {
  static mtvm_server_t server;
  const mtvm_server_config_t config = {
      mtvm_packet_buffer, mtvm_packet_buffer_size, mtvm_workspace, mtvm_workspace_size, send, NULL,
  };
  uint8_t bytes[MTVM_RECEIVE_BYTES];
  size_t n;
  if (TVMPlatformInitialize() != kTvmErrorNoError || mtvm_server_init(&server, &config) != 0) {
    TVMPlatformAbort(kTvmErrorPlatformCheckFailure);
  }
  while ((n = mtvm_platform_read(bytes, sizeof bytes)) > 0) {
    mtvm_server_feed(&server, bytes, n);
  }
  return 0;
}
