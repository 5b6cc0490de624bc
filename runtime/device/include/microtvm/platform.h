/* SPDX-License-Identifier: Apache-2.0 */
/* All that a port provides: TVM's platform functions and a byte pipe to the host. */
#ifndef MTVM_PLATFORM_H
#define MTVM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tvm/runtime/crt/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first call of every application. When it returns, bytes from the host are received and kept: the device
 * announces itself next, and a host may send as soon as it has that packet. Declared here, too: TVM's own header
 * has it from 0.12 on only. */
tvm_crt_error_t TVMPlatformInitialize(void);

/* Wait for at least one byte, take what is there, at most `capacity`. 0: the link is closed for good. */
size_t mtvm_platform_read(uint8_t *data, size_t capacity);

/* Send all n bytes, in order. False: the link is closed for good. */
bool mtvm_platform_write(const uint8_t *data, size_t n);

/* The stack, and the most that was ever used of it, in bytes. 0 where nobody can tell. */
size_t mtvm_platform_stack_size(void);
size_t mtvm_platform_stack_used(void);

#ifdef __cplusplus
}
#endif

#endif
