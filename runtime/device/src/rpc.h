/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the host and their answers.
 *
 * A message is its length (u64, of what follows), a code (i32) and operands. Every request but Shutdown is
 * answered: with Return, with CopyAck, or with an Exception that says what is wrong. */
#ifndef MTVM_RPC_H
#define MTVM_RPC_H

#include <microtvm/wire.h>

/* A session begins (session->id) or ended (0): nothing of the last one is left. */
void mtvm_rpc_reset(const mtvm_session_t *session);

/* Carry out the message of `length` bytes and answer it. What is between it and `end` is used too. False when
 * the host closed the session. */
bool mtvm_rpc_handle(mtvm_session_t *session, uint8_t *message, size_t length, uint8_t *end);

/* Answer with an exception; its text is the last error. */
void mtvm_rpc_fail(mtvm_session_t *session);

#endif
