/* SPDX-License-Identifier: Apache-2.0 */
/* The RPC server: it receives the bytes of the host and sends its own bytes with the write function.
 *
 * All work happens inside mtvm_server_feed, on the caller's thread. A program has one server, because kernels
 * and their memory belong to the program. The server checks that every tensor is in memory that it allocated.
 * It cannot check the shapes that a kernel was compiled for: kernels, like all linked C functions, trust
 * their arguments. */
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

/* The state of a server. The members are internal; they are public so that the caller can allocate the
 * structure. */
typedef struct {
  mtvm_unframer_t unframer;
  mtvm_session_t session;
} mtvm_server_t;

typedef struct {
  uint8_t *packet_buffer; /* at least MTVM_SMALLEST_PACKET bytes; bytes beyond MTVM_LARGEST_PACKET are not used */
  size_t packet_buffer_size;
  uint8_t *workspace; /* tensors of the host, inputs and outputs of executors, workspaces of kernels */
  size_t workspace_size;
  mtvm_write_fn write;
  void *context; /* first argument of `write` */
  const char *const *input_names;  /* of the trained model, ending with NULL, or NULL for no names */
  const char *const *output_names;
} mtvm_server_config_t;

/* Initialise a server, and report to the host that the device was reset.
 *
 * Returns 0. Returns -1 with mtvm_error_text() set when a buffer is too small or no random nonce is
 * available. */
int mtvm_server_init(mtvm_server_t *server, const mtvm_server_config_t *config);

/* Process `n` bytes from the host. Requests may be cut anywhere. Complete requests are executed, and their
 * replies sent, before this function returns. */
void mtvm_server_feed(mtvm_server_t *server, const uint8_t *data, size_t n);

#ifdef __cplusplus
}
#endif

#endif
