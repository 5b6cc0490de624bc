/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that picolibc calls in an operating system. Linked only when user code prints or may exit. */
#include <stdio.h>

#include "../baremetal/port.h"

static int put(char byte, FILE *file) {
  (void)file;
  mtvm_console_put(&byte, 1);
  return 0;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &console;
FILE *const stderr = &console;

__attribute__((noreturn)) void _exit(int status);
void _exit(int status) {
  mtvm_port_fault("the firmware exited; status, caller:", (uintptr_t)status, (uintptr_t)__builtin_return_address(0));
}

/* abort() and a failed assert send a signal to the program. */
int getpid(void);
int getpid(void) { return 1; }

int kill(int process, int signal);
int kill(int process, int signal) {
  (void)process;
  mtvm_port_fault("the firmware stopped itself; signal, caller:", (uintptr_t)signal,
                  (uintptr_t)__builtin_return_address(0));
}
