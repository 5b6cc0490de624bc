/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the wire: packets sent, packets received, the session. The members are internal; the types are
 * public only because the caller allocates a server (server.h). */
#ifndef MTVM_WIRE_H
#define MTVM_WIRE_H

#include <microtvm/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Send `n` bytes. Failures are not reported: the port ends the program or drops the bytes. */
typedef void (*mtvm_write_fn)(void *context, const uint8_t *data, size_t n);

typedef struct {
  mtvm_write_fn write;
  void *context;
  uint16_t crc;
  uint16_t used;
  uint8_t buffer[MTVM_SEND_BUFFER_BYTES];
} mtvm_framer_t;

typedef struct {
  uint8_t *buffer;
  uint32_t capacity;
  uint32_t length;   /* of the payload, as received */
  uint32_t received; /* bytes of the current field */
  uint16_t crc;
  uint16_t wire_crc;
  uint8_t state;
  bool escape;
} mtvm_unframer_t;

typedef struct {
  mtvm_framer_t framer;
  uint16_t id; /* 0: no session */
  uint8_t nonce;
} mtvm_session_t;

#ifdef __cplusplus
}
#endif

#endif
