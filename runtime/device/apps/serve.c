/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <microtvm/app.h>
#include <microtvm/config.h>
#include <microtvm/platform.h>
#include <string.h>

static void (*log_text)(const char *text);

void mtvm_serve_log_with(void (*log)(const char *text)) { log_text = log; }

void mtvm_app_say(const char *text) {
  if (log_text != NULL) {
    log_text(text);
  } else {
    (void)mtvm_platform_write((const uint8_t *)text, strlen(text));
    (void)mtvm_platform_write((const uint8_t *)"\n", 1);
  }
}

int mtvm_serve(void (*start)(void), void (*feed)(uint8_t *data, size_t n)) {
  uint8_t bytes[MTVM_RECEIVE_BYTES];
  if (TVMPlatformInitialize() != kTvmErrorNoError) {
    TVMPlatformAbort(kTvmErrorPlatformCheckFailure);
  }
  start();
  for (size_t n = mtvm_platform_read(bytes, sizeof bytes); n > 0; n = mtvm_platform_read(bytes, sizeof bytes)) {
    feed(bytes, n);
  }
  return 0;
}
