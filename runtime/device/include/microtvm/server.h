/* SPDX-License-Identifier: Apache-2.0 */
/* The RPC server: bytes from the host go in, bytes for the host come out of the write function.
 *
 * Everything happens inside mtvm_server_feed, on the caller's thread. Kernels and their memory belong to the
 * program, not to a server: a program has one server. A kernel, like any C function that is linked in,
 * trusts its arguments: the server checks that every tensor lies in memory it handed out, but it cannot
 * know for what shapes a kernel was compiled. */
#ifndef MTVM_SERVER_H
#define MTVM_SERVER_H

#include <microtvm/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Send all n bytes. There is nobody to tell of a failure: the port ends the program or drops the bytes. */
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
  uint32_t length;   /* of the payload, as its sender says */
  uint32_t received; /* bytes of the field being received */
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

/* Opaque: the members are here so that the caller can provide the memory. */
typedef struct {
  mtvm_unframer_t unframer;
  mtvm_session_t session;
} mtvm_server_t;

typedef struct {
  uint8_t *packet_buffer; /* MTVM_PACKET_BUFFER_BYTES; what is beyond 2048 is left unused */
  size_t packet_buffer_size;
  uint8_t *workspace; /* tensors of the host, inputs and outputs of executors, workspaces of kernels */
  size_t workspace_size;
  mtvm_write_fn write;
  void *context; /* handed to write */
  const char *const *input_names;  /* of the trained model, the last one NULL; or NULL: see microtvm/app.h */
  const char *const *output_names;
} mtvm_server_config_t;

/* Say to the host that the device was reset. 0, or -1 when a buffer is too small or no random nonce is to
 * be had; mtvm_error_text() says which. */
int mtvm_server_init(mtvm_server_t *server, const mtvm_server_config_t *config);

/* Any number of bytes, cut anywhere. Requests are carried out and answered before it returns. */
void mtvm_server_feed(mtvm_server_t *server, const uint8_t *data, size_t n);

/* Show a line of text at the host, in a session or before one; what is beyond 2,045 bytes is cut. For user
 * code and kernels; not for interrupts, nor for the write function. */
void mtvm_log(const char *text);

/* What went wrong last; "" when nothing did. */
const char *mtvm_error_text(void);

#ifdef __cplusplus
}
#endif

#endif
