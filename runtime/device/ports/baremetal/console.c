/* SPDX-License-Identifier: Apache-2.0 */
/* Output of user code, sent as one log message per line. Linked only when user code prints. */
#include <microtvm/app.h>

#include "port.h"

#define LINE_BYTES 128 /* longer lines become several messages */

void mtvm_console_put(const char *text, size_t n) {
  static char line[LINE_BYTES];
  static size_t used;
  for (size_t i = 0; i < n; i++) {
    if (text[i] != '\n' && text[i] != '\0') {
      line[used++] = text[i];
    }
    if (text[i] == '\n' || used == LINE_BYTES - 1) {
      line[used] = '\0';
      used = 0;
      mtvm_app_say(line);
    }
  }
}
