/* SPDX-License-Identifier: Apache-2.0 */
/* Output of the harness on this machine, without a buffer: a sanitizer may end the process. */
#include <stdio.h>

#include "harness.h"

void put(const char *text) {
  fputs(text, stdout);
  fflush(stdout);
}
