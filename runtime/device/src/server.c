/* SPDX-License-Identifier: Apache-2.0 */
#include <microtvm/server.h>
#include <string.h>

#include "error.h"
#include "executor.h"
#include "framing.h"
#include "memory.h"
#include "rpc.h"
#include "session.h"

int mtvm_server_init(mtvm_server_t *server, const mtvm_server_config_t *config) {
  size_t size = config->packet_buffer_size;
  if (size < MTVM_SMALLEST_PACKET) {
    return mtvm_at_least("packet buffer bytes", MTVM_SMALLEST_PACKET, (intptr_t)size);
  }
  size = size > MTVM_LARGEST_PACKET ? MTVM_LARGEST_PACKET : size;
  memset(server, 0, sizeof *server);
  mtvm_unframer_init(&server->unframer, config->packet_buffer, size);
  if (mtvm_memory_init(config->workspace, config->workspace_size) != 0 ||
      mtvm_session_init(&server->session, size, config->write, config->context) != 0) {
    return -1;
  }
  mtvm_executor_set_names(config->input_names, config->output_names);
  mtvm_rpc_reset(&server->session);
  mtvm_session_announce(&server->session);
  return 0;
}

static void handle_message(mtvm_server_t *server) {
  const mtvm_unframer_t *packet = &server->unframer;
  const size_t length = packet->length - MTVM_SESSION_HEADER;
  if (length > mtvm_max_message()) {
    (void)mtvm_at_most("message bytes", (intptr_t)mtvm_max_message(), (intptr_t)length);
    mtvm_rpc_fail(&server->session);
  } else if (!mtvm_rpc_handle(&server->session, packet->buffer + MTVM_SESSION_HEADER, length,
                              packet->buffer + packet->capacity)) {
    mtvm_session_end(&server->session);
    mtvm_rpc_reset(&server->session);
  }
}

static void handle_packet(mtvm_server_t *server) {
  const mtvm_unframer_t *packet = &server->unframer;
  switch (mtvm_session_receive(&server->session, packet->buffer, packet->length)) {
    case MTVM_SESSION_CHANGED:
      mtvm_rpc_reset(&server->session);
      break;
    case MTVM_SESSION_MESSAGE:
      handle_message(server);
      break;
    default:
      break;
  }
}

void mtvm_server_feed(mtvm_server_t *server, const uint8_t *data, size_t n) {
  while (n > 0) {
    bool complete;
    const size_t used = mtvm_unframer_feed(&server->unframer, data, n, &complete);
    data += used;
    n -= used;
    if (complete) {
      handle_packet(server);
    }
  }
}
