/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the host and the replies to them.
 *
 * A message is its length (u64, of the remaining bytes), a code (i32) and operands. Every request except
 * Shutdown has a reply: Return, CopyAck, or an Exception that describes the error. */
#ifndef MTVM_RPC_H
#define MTVM_RPC_H

#include <microtvm/wire.h>

/* Start (session->id != 0) or end (0) a session, and discard the state of the previous one. */
void mtvm_rpc_reset(const mtvm_session_t *session);

/* Execute the message of `length` bytes and send its reply. The bytes between the message and `end` are
 * overwritten.
 *
 * Returns false when the host closed the session. */
bool mtvm_rpc_handle(mtvm_session_t *session, uint8_t *message, size_t length, uint8_t *end);

/* Send an exception with the last error as its text. */
void mtvm_rpc_fail(mtvm_session_t *session);

#endif
