/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that newlib calls in an operating system. Linked only when user code prints or allocates
 * memory. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "../baremetal/port.h"

/* Defined in link.ld: the unused RAM. */
extern char mtvm_heap_begin[];
extern char mtvm_heap_end[];

/* Newlib does not declare these functions. */
int _write(int file, const char *data, int n);
int _read(int file, char *data, int n);
int _close(int file);
int _fstat(int file, struct stat *about);
int _isatty(int file);
off_t _lseek(int file, off_t offset, int from);
int _kill(int process, int signal);
int _getpid(void);
void *_sbrk(ptrdiff_t more);
__attribute__((noreturn)) void _exit(int status);

int _write(int file, const char *data, int n) {
  (void)file;
  mtvm_console_put(data, (size_t)n);
  return n;
}

/* Return no bytes: all bytes of the UART belong to the protocol. */
int _read(int file, char *data, int n) {
  (void)file;
  (void)data;
  (void)n;
  return 0;
}

int _close(int file) {
  (void)file;
  return 0;
}

/* Report a terminal: newlib then writes line by line. */
int _fstat(int file, struct stat *about) {
  (void)file;
  about->st_mode = S_IFCHR;
  return 0;
}

int _isatty(int file) {
  (void)file;
  return 1;
}

off_t _lseek(int file, off_t offset, int from) {
  (void)file;
  (void)offset;
  (void)from;
  return 0;
}

int _kill(int process, int signal) {
  (void)process;
  mtvm_port_fault("the firmware stopped itself; signal, caller:", (uintptr_t)signal,
                  (uintptr_t)__builtin_return_address(0));
}

int _getpid(void) { return 1; }

void *_sbrk(ptrdiff_t more) {
  static char *end = mtvm_heap_begin;
  char *const begin = end;
  if (more > mtvm_heap_end - end) {
    errno = ENOMEM;
    return (void *)-1;
  }
  end += more;
  return begin;
}

void _exit(int status) {
  mtvm_port_fault("the firmware exited; status, caller:", (uintptr_t)status, (uintptr_t)__builtin_return_address(0));
}
