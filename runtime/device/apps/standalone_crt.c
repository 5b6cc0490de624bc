/* SPDX-License-Identifier: Apache-2.0 */
/* Standalone firmware, with TVM's own runtime. */
#include <microtvm/app.h>
#include <stdarg.h>
#include <tvm/runtime/crt/logging.h>
#include <tvm/runtime/crt/platform.h>

#include "run_once.h"

#define MESSAGE_BYTES 128

/* Format a log message and print it. Replaces the TVMLogf of TVM's RPC server: the linker takes this object
 * first, because it defines main. */
void TVMLogf(const char *format, ...) {
  char text[MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void)TVMPlatformFormatMessage(text, sizeof text, format, arguments);
  va_end(arguments);
  mtvm_app_say(text);
}

int main(void) { return mtvm_run_once(); }
