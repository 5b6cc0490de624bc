/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <microtvm/app.h>
#include <microtvm/config.h>
#include <microtvm/platform.h>
#include <string.h>

static bool is_framed;

void mtvm_serve_frame_text(bool framed) { is_framed = framed; }

void mtvm_app_say(const char *text) {
  if (is_framed) {
    mtvm_serve_log(text);
  } else {
    (void)mtvm_platform_write((const uint8_t *)text, strlen(text));
    (void)mtvm_platform_write((const uint8_t *)"\n", 1);
  }
}

int mtvm_serve(void) {
  uint8_t bytes[MTVM_RECEIVE_BYTES];
  if (TVMPlatformInitialize() != kTvmErrorNoError) {
    TVMPlatformAbort(kTvmErrorPlatformCheckFailure);
  }
  mtvm_serve_start();
  for (size_t n = mtvm_platform_read(bytes, sizeof bytes); n > 0; n = mtvm_platform_read(bytes, sizeof bytes)) {
    mtvm_serve_feed(bytes, n);
  }
  return 0;
}
