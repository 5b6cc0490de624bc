/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: they identify the messages of the host for this run of the device.
 *
 * The payload of a packet is a session id (u16), a message type (u8) and the message. The id is the nonce of
 * the host in the low byte and that of the device in the high byte. The device never requests a session, so
 * that both sides cannot request one at the same time. */
#ifndef MTVM_SESSION_H
#define MTVM_SESSION_H

#include <microtvm/wire.h>

#define MTVM_SESSION_HEADER 3u

typedef enum {
  MTVM_SESSION_NOTHING, /* not for this device, or unknown: ignored, as the protocol requires */
  MTVM_SESSION_CHANGED, /* a session started or ended: the state of the last one must be discarded */
  MTVM_SESSION_MESSAGE, /* a message of the session, after the header */
} mtvm_session_event_t;

/* Initialise a session with packets of at most `size` bytes. mtvm_log uses the session that was initialised
 * last.
 *
 * Returns 0, or -1 with the error set. */
int mtvm_session_init(mtvm_session_t *session, size_t size, mtvm_write_fn write, void *context);

/* Return the size of the largest message, in bytes, for both directions. */
size_t mtvm_max_message(void);

/* Report to the host that the device was reset. */
void mtvm_session_announce(mtvm_session_t *session);

/* Classify a received packet. A packet that opens a session is replied to immediately. */
mtvm_session_event_t mtvm_session_receive(mtvm_session_t *session, const uint8_t *payload, size_t length);

/* End the session: the host closed it. */
void mtvm_session_end(mtvm_session_t *session);

/* Send a message of the session: begin it, call mtvm_framer_put(&session->framer, ...) for `length` bytes in
 * total, and end it. */
void mtvm_session_begin_message(mtvm_session_t *session, size_t length);
void mtvm_session_end_message(mtvm_session_t *session);

#endif
