/* SPDX-License-Identifier: Apache-2.0 */
/* The platform functions of a process. The link is its standard input and output. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <microtvm/platform.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int link_out = STDOUT_FILENO;
static struct timespec started;

/* Reserve standard output for the protocol. Other output, such as a printf in a kernel, goes to standard
 * error. */
tvm_crt_error_t TVMPlatformInitialize(void) {
  int elsewhere = STDERR_FILENO;
  signal(SIGPIPE, SIG_IGN); /* report a host that exited as the end of input, without a crash */
  link_out = fcntl(STDOUT_FILENO, F_DUPFD, STDERR_FILENO + 1);
  if (fcntl(STDERR_FILENO, F_GETFD) < 0) { /* the process has no standard error */
    elsewhere = open("/dev/null", O_WRONLY);
  }
  return link_out >= 0 && dup2(elsewhere, STDOUT_FILENO) >= 0 ? kTvmErrorNoError : kTvmErrorPlatformCheckFailure;
}

void TVMPlatformAbort(tvm_crt_error_t code) {
  static const char text[] = "microtvm: the firmware stopped itself\n";
  const ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
  (void)ignored;
  _exit(code == kTvmErrorNoError ? 1 : 2);
}

tvm_crt_error_t TVMPlatformTimerStart(void) {
  return clock_gettime(CLOCK_MONOTONIC, &started) == 0 ? kTvmErrorNoError : kTvmErrorPlatformTimerBadState;
}

tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
    return kTvmErrorPlatformTimerBadState;
  }
  *elapsed_seconds = (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) * 1e-9;
  return kTvmErrorNoError;
}

static bool read_random(uint8_t *buffer, size_t n) {
  const int file = open("/dev/urandom", O_RDONLY);
  const ssize_t got = file < 0 ? -1 : read(file, buffer, n);
  if (file >= 0) {
    (void)close(file);
  }
  return got == (ssize_t)n;
}

/* Without /dev/urandom, as in a minimal container, mix the clock and the process id, which differ between
 * runs. */
tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  if (read_random(buffer, n)) {
    return kTvmErrorNoError;
  }
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
    return kTvmErrorPlatformCheckFailure;
  }
  unsigned long mixed = (unsigned long)now.tv_nsec ^ (unsigned long)now.tv_sec ^ ((unsigned long)getpid() << 16);
  for (size_t i = 0; i < n; i++) {
    mixed = mixed * 1103515245u + 12345u;
    buffer[i] = (uint8_t)(mixed >> 16);
  }
  return kTvmErrorNoError;
}

/* Return whether to retry after an error. The other process at the pipe may have made it non-blocking. */
static bool again(int file, short event) {
  struct pollfd ready = {file, event, 0};
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return poll(&ready, 1, -1) >= 0 || errno == EINTR;
  }
  return errno == EINTR;
}

size_t mtvm_platform_read(uint8_t *data, size_t capacity) {
  ssize_t got;
  do {
    got = read(STDIN_FILENO, data, capacity);
  } while (got < 0 && again(STDIN_FILENO, POLLIN));
  return got > 0 ? (size_t)got : 0;
}

bool mtvm_platform_write(const uint8_t *data, size_t n) {
  while (n > 0) {
    const ssize_t put = write(link_out, data, n);
    if (put < 0 && !again(link_out, POLLOUT)) {
      return false;
    }
    data += put > 0 ? put : 0;
    n -= put > 0 ? (size_t)put : 0;
  }
  return true;
}

/* The stack of a process grows automatically, so its size is not reported. */
size_t mtvm_platform_stack_size(void) { return 0; }

size_t mtvm_platform_stack_used(void) { return 0; }
