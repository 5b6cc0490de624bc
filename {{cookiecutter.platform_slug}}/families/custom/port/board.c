/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of your board. As it stands this file is standard C and runs on this machine: the link to the
 * host is standard input and output. Five sections say what to write instead for your board. A section goes
 * from its marker, FILL IN, to the next: replace it and delete the marker. `python -m runtime.host check` lists
 * the markers that are left. runtime/device/include/microtvm/platform.h says what each function promises. */
#include <microtvm/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* How large the stack is, and the most that was used of it. 0: nobody can tell. Optional. */
size_t mtvm_platform_stack_size(void) { return 0; }

size_t mtvm_platform_stack_used(void) { return 0; }

/* FILL IN 1 of 5: bytes in. TVMPlatformInitialize is called first: switch on clocks, pins, the UART and the
 * timer, unless your SDK has done so before main; the UART must receive when it returns, because the packet that
 * the device sends next tells the host to begin. mtvm_platform_read waits for at least one byte and takes what
 * is there. Let the UART's interrupt fill a buffer of 4,160 bytes, from which it takes: then no byte is lost
 * while a kernel runs. */
tvm_crt_error_t TVMPlatformInitialize(void) { return kTvmErrorNoError; }

size_t mtvm_platform_read(uint8_t *data, size_t capacity) {
  const int byte = capacity > 0 ? getchar() : EOF;
  if (byte == EOF) {
    return 0;
  }
  data[0] = (uint8_t)byte;
  return 1;
}

/* FILL IN 2 of 5: bytes out. Send all n bytes; wait while the UART is busy. */
bool mtvm_platform_write(const uint8_t *data, size_t n) {
  return fwrite(data, 1, n, stdout) == n && fflush(stdout) == 0;
}

/* FILL IN 3 of 5: a timer. Read a counter of the chip at the start, and give the seconds since then at the stop.
 * It times kernels: the finer it counts the better, and it must not wrap in between. */
static clock_t started;

tvm_crt_error_t TVMPlatformTimerStart(void) {
  started = clock();
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds) {
  *elapsed_seconds = (double)(clock() - started) / (double)CLOCKS_PER_SEC;
  return kTvmErrorNoError;
}

/* FILL IN 4 of 5: random bytes. They need not be good, but must differ from one reset to the next: use a random
 * number generator, or mix the timer with RAM that the start-up code does not clear. */
tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  static unsigned int seed;
  seed += (unsigned int)time(NULL) + (unsigned int)clock();
  srand(seed);
  for (size_t i = 0; i < n; i++) {
    buffer[i] = (uint8_t)(rand() >> 4);
  }
  return kTvmErrorNoError;
}

/* FILL IN 5 of 5: stop. Something is wrong that no message can tell: reset the chip. It must not return. */
void TVMPlatformAbort(tvm_crt_error_t code) {
  (void)code;
  abort();
}
