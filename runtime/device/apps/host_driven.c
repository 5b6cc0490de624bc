/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that executes the requests of a host. */
#include <microtvm/app.h>
#include <microtvm/error.h>
#include <microtvm/log.h>
#include <microtvm/platform.h>
#include <microtvm/server.h>

#include "about.h"
#include "serve.h"

static mtvm_server_t server;

static void send(void *context, const uint8_t *data, size_t n) {
  (void)context;
  (void)mtvm_platform_write(data, n); /* the next read reports a closed link */
}

void mtvm_serve_start(void) {
  const mtvm_server_config_t config = {
      .packet_buffer = mtvm_packet_buffer,
      .packet_buffer_size = mtvm_packet_buffer_size,
      .workspace = mtvm_workspace,
      .workspace_size = mtvm_workspace_size,
      .write = send,
      .input_names = mtvm_input_names,
      .output_names = mtvm_output_names,
  };
  if (mtvm_server_init(&server, &config) != 0) {
    mtvm_app_say(mtvm_error_text());
    TVMPlatformAbort(kTvmErrorPlatformCheckFailure);
  }
  mtvm_serve_frame_text(true);
  (void)mtvm_about_register();
}

void mtvm_serve_feed(uint8_t *data, size_t n) { mtvm_server_feed(&server, data, n); }

void mtvm_serve_log(const char *text) { mtvm_log(text); }

int main(void) { return mtvm_serve(); }
