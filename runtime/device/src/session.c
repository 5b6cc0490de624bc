/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <microtvm/log.h>
#include <microtvm/platform.h>
#include <string.h>

#include "error.h"
#include "framing.h"

enum { START_INIT = 0x00, START_REPLY = 0x01, TERMINATE = 0x02, LOG = 0x03, NORMAL = 0x10 };

#define VERSION 1u

#define LONGEST_LOG (MTVM_LARGEST_PACKET - MTVM_SESSION_HEADER)

static mtvm_session_t *speaker;
static size_t packet_size;

/* Return the next nonce. The first nonce after a reset is random. The sequence visits each nonce before it
 * repeats one. */
static uint8_t next_nonce(uint8_t nonce) {
  nonce = (uint8_t)(nonce * 5 + 1);
  return nonce != 0 ? nonce : 1;
}

size_t mtvm_max_message(void) { return packet_size - MTVM_SESSION_HEADER; }

int mtvm_session_init(mtvm_session_t *session, size_t size, mtvm_write_fn write, void *context) {
  const tvm_crt_error_t code = TVMPlatformGenerateRandom(&session->nonce, 1);
  if (code != kTvmErrorNoError) {
    return mtvm_want("TVMPlatformGenerateRandom result", 0, (intptr_t)code);
  }
  if (session->nonce == 0) {
    session->nonce = 1;
  }
  session->id = 0;
  packet_size = size;
  mtvm_framer_init(&session->framer, write, context);
  speaker = session;
  return 0;
}

static void begin(mtvm_session_t *session, uint16_t id, uint8_t type, size_t length) {
  const uint8_t header[MTVM_SESSION_HEADER] = {(uint8_t)id, (uint8_t)(id >> 8), type};
  mtvm_framer_begin(&session->framer, sizeof header + length);
  mtvm_framer_put(&session->framer, header, sizeof header);
}

void mtvm_session_begin_message(mtvm_session_t *session, size_t length) {
  begin(session, session->id, NORMAL, length);
}

void mtvm_session_end_message(mtvm_session_t *session) { mtvm_framer_end(&session->framer); }

void mtvm_session_announce(mtvm_session_t *session) {
  mtvm_framer_nop(&session->framer);
  begin(session, 0, TERMINATE, 0);
  mtvm_session_end_message(session);
}

void mtvm_session_end(mtvm_session_t *session) { session->id = 0; }

void mtvm_log(const char *text) {
  size_t length = strlen(text);
  length = length < LONGEST_LOG ? length : LONGEST_LOG;
  if (speaker != NULL) {
    begin(speaker, speaker->id, LOG, length);
    mtvm_framer_put(&speaker->framer, text, length);
    mtvm_session_end_message(speaker);
  }
}

static mtvm_session_event_t start(mtvm_session_t *session, uint16_t id, const uint8_t *body, size_t length) {
  static const uint8_t version = VERSION;
  const uint8_t initiator = (uint8_t)id;
  if (initiator == 0 || length != 1) {
    return MTVM_SESSION_NOTHING;
  }
  if (body[0] != VERSION) {
    (void)mtvm_want("session protocol version", VERSION, body[0]);
    mtvm_log(mtvm_error_text()); /* a reply would need a session */
    return MTVM_SESSION_NOTHING;
  }
  session->nonce = next_nonce(session->nonce);
  session->id = (uint16_t)(initiator | session->nonce << 8);
  begin(session, session->id, START_REPLY, 1);
  mtvm_framer_put(&session->framer, &version, 1);
  mtvm_session_end_message(session);
  return MTVM_SESSION_CHANGED;
}

mtvm_session_event_t mtvm_session_receive(mtvm_session_t *session, const uint8_t *payload, size_t length) {
  if (length < MTVM_SESSION_HEADER) {
    return MTVM_SESSION_NOTHING;
  }
  const uint16_t id = (uint16_t)(payload[0] | payload[1] << 8);
  if (payload[2] == START_INIT) {
    return start(session, id, payload + MTVM_SESSION_HEADER, length - MTVM_SESSION_HEADER);
  }
  if (payload[2] == TERMINATE && (id == 0 || id == session->id)) {
    mtvm_session_end(session);
    return MTVM_SESSION_CHANGED;
  }
  if (payload[2] == NORMAL && id != 0 && id == session->id) {
    return MTVM_SESSION_MESSAGE;
  }
  return MTVM_SESSION_NOTHING;
}
