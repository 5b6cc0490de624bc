/* SPDX-License-Identifier: Apache-2.0 */
/* The RPC server: bytes from the host go in, bytes for the host come out of the write function.
 *
 * Everything happens inside mtvm_server_feed, on the caller's thread. Kernels and their memory belong to the
 * program, not to a server: a program has one server. A kernel, like any C function that is linked in,
 * trusts its arguments: the server checks that every tensor lies in memory it handed out, but it cannot
 * know for what shapes a kernel was compiled. */
#ifndef MTVM_SERVER_H
#define MTVM_SERVER_H

#include <microtvm/error.h>
#include <microtvm/log.h>
#include <microtvm/wire.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Its members are the library's own; they are here so that the caller can provide the memory. */
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

#ifdef __cplusplus
}
#endif

#endif
