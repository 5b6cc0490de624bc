/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that a host drives, on TVM's own runtime. */
#include <microtvm/app.h>
#include <microtvm/memory.h>
#include <microtvm/platform.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/logging.h>
#include <tvm/runtime/crt/microtvm_rpc_server.h>

#include "about.h"
#include "serve.h"

/* The wire: an escape byte and what may follow it, and a packet's head: length, session id, message type. */
#define ESCAPE 0xffu
#define PACKET_START 0xfdu
#define NOP 0xfeu
#define TYPE_AT 6
#define START_SESSION 0x00u
#define NORMAL 0x10u

static microtvm_rpc_server_t server;
static bool mute;

/* Whether the server did something for its session that a new one must not find. */
static bool in_use;

/* The head of a packet, held back until its type is known. */
static struct {
  uint8_t bytes[2 * (TYPE_AT + 1)]; /* as they came; each may be escaped */
  size_t held;
  size_t decoded;
  bool open;
  bool escaped; /* the byte before was an escape */
} head;

static ssize_t send(void *context, const uint8_t *data, size_t n) {
  (void)context;
  if (!mute) {
    (void)mtvm_platform_write(data, n); /* a link that is closed shows at the next read */
  }
  return (ssize_t)n;
}

void mtvm_serve_log(const char *text) { TVMLogf("%s", text); }

/* A server that knows of no session, and all memory free. */
void mtvm_serve_start(void) {
  mtvm_serve_frame_text(false);
  if (mtvm_memory_init(mtvm_workspace, mtvm_workspace_size) != 0) {
    mtvm_app_say(TVMGetLastError());
    TVMPlatformAbort(kTvmErrorPlatformNoMemory);
  }
  server = MicroTVMRpcServerInit(send, NULL);
  (void)mtvm_about_register();
  mtvm_serve_frame_text(true);
  in_use = false;
}

/* Noise on the link is an error, too: the server drops it and looks for the next packet. */
static void feed_server(uint8_t *data, size_t n) {
  while (n > 0) {
    const size_t before = n;
    const tvm_crt_error_t error = MicroTVMRpcServerLoop(server, &data, &n);
    if (error == kTvmErrorPlatformShutdown) { /* the host has closed the session */
      mtvm_serve_start();
    } else if (n == before) {
      return;
    }
  }
}

/* TVM's server keeps what a session has made when the next one starts. So the first packet of a session that
 * follows another finds a server of its own; it says nothing of that to the host, which would begin anew. */
static void prepare_server(uint8_t type) {
  if (type == START_SESSION && in_use) {
    uint8_t packet_start[] = {ESCAPE, PACKET_START};
    mute = true;
    mtvm_serve_start();
    mute = false;
    feed_server(packet_start, sizeof packet_start);
  }
  in_use = in_use || type == NORMAL;
}

static void release_head(void) {
  feed_server(head.bytes, head.held);
  head.held = 0;
  head.open = false;
}

/* The head of a packet is open: keep a byte of it. */
static void keep_head_byte(uint8_t byte) {
  const bool escaped = head.escaped;
  head.bytes[head.held++] = byte;
  head.escaped = !escaped && byte == ESCAPE;
  if (escaped && byte == PACKET_START) { /* the packet before was cut off */
    release_head();
    head.open = true;
    head.decoded = 0;
    return;
  }
  if (!head.escaped && !(escaped && byte == NOP) && head.decoded++ == TYPE_AT) {
    prepare_server(byte);
    release_head();
  } else if (head.held == sizeof head.bytes) { /* more no-operations than any host sends */
    release_head();
  }
}

/* Hand on what follows a head, up to the start of the next packet. Returns how many bytes that was. */
static size_t feed_body(uint8_t *data, size_t n) {
  size_t i = 0;
  while (i < n && !head.open) {
    head.open = head.escaped && data[i] == PACKET_START;
    head.escaped = !head.escaped && data[i] == ESCAPE;
    i++;
  }
  feed_server(data, i);
  head.decoded = 0;
  return i;
}

void mtvm_serve_feed(uint8_t *data, size_t n) {
  size_t i = 0;
  while (i < n) {
    if (head.open) {
      keep_head_byte(data[i++]);
    } else {
      i += feed_body(data + i, n - i);
    }
  }
}

int main(void) { return mtvm_serve(); }
