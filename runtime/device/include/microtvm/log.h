/* SPDX-License-Identifier: Apache-2.0 */
/* Log messages to the host. */
#ifndef MTVM_LOG_H
#define MTVM_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/* Send one line of text to the host, during a session or before one.
 *
 * Bytes after the first 2,045 are dropped. For user code and kernels; do not call this function from
 * interrupts or from the write function of the server. */
void mtvm_log(const char *text);

#ifdef __cplusplus
}
#endif

#endif
