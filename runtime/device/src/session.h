/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: which messages of the host are meant for this run of the device.
 *
 * The payload of a packet is a session id (u16), a message type (u8) and the message. The id is the nonce of
 * the host, and the device's in the high byte. The device never asks for a session itself, so that both
 * sides cannot ask at once. */
#ifndef MTVM_SESSION_H
#define MTVM_SESSION_H

#include <microtvm/wire.h>

#define MTVM_SESSION_HEADER 3u

typedef enum {
  MTVM_SESSION_NOTHING, /* not for us, or not understood: dropped, as the protocol says */
  MTVM_SESSION_CHANGED, /* a new session, or the end of one: what the last one left must go */
  MTVM_SESSION_MESSAGE, /* a message of the session, behind the header */
} mtvm_session_event_t;

/* With packets of at most `size` bytes. The last session initialised is the one that mtvm_log speaks in. 0,
 * or -1 with the error set. */
int mtvm_session_init(mtvm_session_t *session, size_t size, mtvm_write_fn write, void *context);

/* Bytes of the largest message that is taken or sent. */
size_t mtvm_max_message(void);

/* Tell the host that the device was reset. */
void mtvm_session_announce(mtvm_session_t *session);

/* Classify a packet that was received. One that opens a session is answered. */
mtvm_session_event_t mtvm_session_receive(mtvm_session_t *session, const uint8_t *payload, size_t length);

/* The host has closed the session. */
void mtvm_session_end(mtvm_session_t *session);

/* A message of the session: begin, mtvm_framer_put(&session->framer, ...) of that length in all, end. */
void mtvm_session_begin_message(mtvm_session_t *session, size_t length);
void mtvm_session_end_message(mtvm_session_t *session);

#endif
