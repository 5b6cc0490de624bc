/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware without a host, on TVM's own runtime. */
#include <microtvm/app.h>
#include <stdarg.h>
#include <tvm/runtime/crt/logging.h>
#include <tvm/runtime/crt/platform.h>

#include "run_once.h"

#define MESSAGE_BYTES 128

/* Takes the place of the RPC server's, which is then not linked: this object is, because it has main. */
void TVMLogf(const char *format, ...) {
  char text[MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void)TVMPlatformFormatMessage(text, sizeof text, format, arguments);
  va_end(arguments);
  mtvm_app_say(text);
}

int main(void) { return mtvm_run_once(); }
