/* SPDX-License-Identifier: Apache-2.0 */
/* A device in memory: tests feed bytes to the server and read the bytes that the server writes. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stddef.h>
#include <stdint.h>

/* Create a new server with buffers of these sizes, in bytes. Returns 0, or -1 with mtvm_error_text() set. */
int harness_reset(size_t packet_buffer_size, size_t workspace_size);

void harness_feed(const uint8_t *data, size_t n);

/* Return the bytes that the server has written since the last harness_clear. `n` is set to their number. */
const uint8_t *harness_output(size_t *n);
void harness_clear(void);

/* The nonce of the next reset; the seconds that every batch of a time evaluator takes, or below 0 for the
 * machine's clock; the error code of TVMPlatformTimerStart. */
extern uint8_t harness_nonce;
extern double harness_seconds;
extern int harness_timer_error;

#endif
