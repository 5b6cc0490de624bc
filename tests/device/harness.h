/* SPDX-License-Identifier: Apache-2.0 */
/* A device in memory: what a test feeds goes to the server, what the server writes is collected. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stddef.h>
#include <stdint.h>

/* Reset: a new server with buffers of these sizes. 0, or -1. */
int harness_reset(size_t packet_buffer_size, size_t workspace_size);

void harness_feed(const uint8_t *data, size_t n);

/* What the server wrote since the last harness_clear. */
const uint8_t *harness_output(size_t *n);
void harness_clear(void);

/* The nonce of the next reset; seconds that every batch of a time evaluator takes, or below 0 for the
 * machine's clock; what the timer's start answers. */
extern uint8_t harness_nonce;
extern double harness_seconds;
extern int harness_timer_error;

#endif
