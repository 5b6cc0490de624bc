/* SPDX-License-Identifier: Apache-2.0 */
/* The platform functions that a device port implements. They have TVM's names, so that one port works with
 * both runtimes. */
#ifndef MTVM_CRT_PLATFORM_H
#define MTVM_CRT_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/error_codes.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Initialise clocks, the link to the host and the timer. Called once, before all other functions. */
tvm_crt_error_t TVMPlatformInitialize(void);

/* Stop, reset or exit after an error that cannot be reported to the host. Does not return. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void TVMPlatformAbort(tvm_crt_error_t code);

/* Start and stop the only timer, alternately.
 *
 * Stopping sets `elapsed_seconds` to the time since the start. The resolution depends on the port. */
tvm_crt_error_t TVMPlatformTimerStart(void);
tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds);

/* Write `n` bytes that differ between resets. They need not be good random numbers. */
tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n);

/* Called before and after every timed batch of runs, outside the timed part. Optional.
 *
 * The defaults do nothing. A port must define its own versions in the file of its timer, so that the linker
 * finds them. */
tvm_crt_error_t TVMPlatformBeforeMeasurement(void);
tvm_crt_error_t TVMPlatformAfterMeasurement(void);

#ifdef __cplusplus
}
#endif

#endif
