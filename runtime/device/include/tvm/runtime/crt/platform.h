/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that a port implements, named as TVM names them, so that one port serves both runtimes. */
#ifndef MTVM_CRT_PLATFORM_H
#define MTVM_CRT_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/error_codes.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called once, before anything else: clocks, the link to the host, the timer. */
tvm_crt_error_t TVMPlatformInitialize(void);

/* Something is wrong that no message can tell the host. Does not return: stop, reset or exit. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void TVMPlatformAbort(tvm_crt_error_t code);

/* One timer, started and stopped in turns. Stop gives the seconds since start; resolution is the port's. */
tvm_crt_error_t TVMPlatformTimerStart(void);
tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds);

/* n bytes that differ from one reset to the next; they need not be good random numbers. */
tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n);

/* Around every timed batch of runs, outside the timed part. A port that defines none gets empty ones; one that
 * does has them in the file of its timer, which is how a linker comes across them. */
tvm_crt_error_t TVMPlatformBeforeMeasurement(void);
tvm_crt_error_t TVMPlatformAfterMeasurement(void);

#ifdef __cplusplus
}
#endif

#endif
