/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of your board.
 *
 * This file is standard C. It first runs on this machine, with standard input and output as the link to the
 * host. Replace five sections for your board. A section starts at its marker, FILL IN, and ends at the next
 * one; delete the marker, too. `python mtvm.py check` lists the remaining markers.
 * runtime/device/include/microtvm/platform.h specifies the functions. */
#include <microtvm/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Return the size of the stack, and its largest use so far, in bytes. Optional: 0 means unknown. */
size_t mtvm_platform_stack_size(void) { return 0; }

size_t mtvm_platform_stack_used(void) { return 0; }

/* FILL IN 1 of 5: receive bytes. TVMPlatformInitialize is called first. Enable the clocks, the pins, the UART
 * and the timer, unless your SDK enables them before main. The UART must receive when this function returns,
 * because a host may send after the next packet of the device. mtvm_platform_read waits for at least one
 * byte, then returns the available bytes. Store received bytes in a buffer of 4,160 bytes in the interrupt of
 * the UART. Otherwise bytes are lost while a kernel runs. */
tvm_crt_error_t TVMPlatformInitialize(void) { return kTvmErrorNoError; }

size_t mtvm_platform_read(uint8_t *data, size_t capacity) {
  const int byte = capacity > 0 ? getchar() : EOF;
  if (byte == EOF) {
    return 0;
  }
  data[0] = (uint8_t)byte;
  return 1;
}

/* FILL IN 2 of 5: send bytes. Send all n bytes; wait while the UART is busy. */
bool mtvm_platform_write(const uint8_t *data, size_t n) {
  return fwrite(data, 1, n, stdout) == n && fflush(stdout) == 0;
}

/* FILL IN 3 of 5: a timer. Read a counter of the chip at the start; at the stop set the seconds since the
 * start. The timer measures kernels: use a high resolution. The counter must not wrap during a
 * measurement. */
static clock_t started;

tvm_crt_error_t TVMPlatformTimerStart(void) {
  started = clock();
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds) {
  *elapsed_seconds = (double)(clock() - started) / (double)CLOCKS_PER_SEC;
  return kTvmErrorNoError;
}

/* FILL IN 4 of 5: random bytes. They need not be good, but must differ between resets. Use a random number
 * generator, or mix the timer with RAM that the start-up code does not clear. */
tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  static unsigned int seed;
  seed += (unsigned int)time(NULL) + (unsigned int)clock();
  srand(seed);
  for (size_t i = 0; i < n; i++) {
    buffer[i] = (uint8_t)(rand() >> 4);
  }
  return kTvmErrorNoError;
}

/* FILL IN 5 of 5: stop. Reset the chip after an error that cannot be reported. This function must not
 * return. */
void TVMPlatformAbort(tvm_crt_error_t code) {
  (void)code;
  abort();
}
