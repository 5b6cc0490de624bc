/* SPDX-License-Identifier: Apache-2.0 */
/* Log messages. */
#ifndef MTVM_LOG_H
#define MTVM_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/* Show a line of text at the host, in a session or before one; what is beyond 2,045 bytes is cut. For user
 * code and kernels; not for interrupts, nor for the write function of the server. */
void mtvm_log(const char *text);

#ifdef __cplusplus
}
#endif

#endif
