/* SPDX-License-Identifier: Apache-2.0 */
/* All functions that a device port implements: TVM's platform functions, and a byte pipe to the host. */
#ifndef MTVM_PLATFORM_H
#define MTVM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tvm/runtime/crt/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Initialise the device. Applications call this function first.
 *
 * When it returns, the device must already receive and store bytes from the host: it sends its first packet
 * next, and a host may reply immediately. Also declared here because TVM's own header declares it only since
 * 0.12. */
tvm_crt_error_t TVMPlatformInitialize(void);

/* Wait for at least one byte from the host, then read the available bytes, up to `capacity`.
 *
 * Returns the number of bytes, or 0 when the link is permanently closed. */
size_t mtvm_platform_read(uint8_t *data, size_t capacity);

/* Send `n` bytes to the host, in order. Returns false when the link is permanently closed. */
bool mtvm_platform_write(const uint8_t *data, size_t n);

/* Return the size of the stack, and its largest use so far, in bytes. Return 0 when the port cannot measure
 * them. */
size_t mtvm_platform_stack_size(void);
size_t mtvm_platform_stack_used(void);

#ifdef __cplusplus
}
#endif

#endif
