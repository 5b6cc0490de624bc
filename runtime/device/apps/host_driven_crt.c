/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware that executes the requests of a host, with TVM's own runtime. */
#include <microtvm/app.h>
#include <microtvm/memory.h>
#include <microtvm/platform.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/logging.h>
#include <tvm/runtime/crt/microtvm_rpc_server.h>

#include "about.h"
#include "serve.h"

/* Bytes of the wire: the escape byte and its successors, and the offset of the type in a packet's head. The
 * head is length, session id and message type. */
#define ESCAPE 0xffu
#define PACKET_START 0xfdu
#define NOP 0xfeu
#define TYPE_AT 6
#define START_SESSION 0x00u
#define NORMAL 0x10u

static microtvm_rpc_server_t server;
static bool mute;

/* True when the current session has used the server: the next session then needs a new server. */
static bool in_use;

/* The head of the packet being received. It is held back until its message type has arrived. */
static struct {
  uint8_t bytes[2 * (TYPE_AT + 1)]; /* as received; each may be escaped */
  size_t held;
  size_t decoded;
  bool open;
  bool escaped; /* the previous byte was an escape */
} head;

static ssize_t send(void *context, const uint8_t *data, size_t n) {
  (void)context;
  if (!mute) {
    (void)mtvm_platform_write(data, n); /* the next read reports a closed link */
  }
  return (ssize_t)n;
}

void mtvm_serve_log(const char *text) { TVMLogf("%s", text); }

/* Create a server without a session, with all memory free. */
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

/* Feed bytes to the server. It returns an error for noise, too: it drops the noise and searches for the next
 * packet. */
static void feed_server(uint8_t *data, size_t n) {
  while (n > 0) {
    const size_t before = n;
    const tvm_crt_error_t error = MicroTVMRpcServerLoop(server, &data, &n);
    if (error == kTvmErrorPlatformShutdown) { /* the host closed the session */
      mtvm_serve_start();
    } else if (n == before) {
      return;
    }
  }
}

/* Replace the server when a new session starts: TVM's server keeps the objects of the previous session. The
 * new server sends nothing about its reset, because the host would then restart its session. */
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

/* Store one byte of an open head. */
static void keep_head_byte(uint8_t byte) {
  const bool escaped = head.escaped;
  head.bytes[head.held++] = byte;
  head.escaped = !escaped && byte == ESCAPE;
  if (escaped && byte == PACKET_START) { /* the previous packet was cut off */
    release_head();
    head.open = true;
    head.decoded = 0;
    return;
  }
  if (!head.escaped && !(escaped && byte == NOP) && head.decoded++ == TYPE_AT) {
    prepare_server(byte);
    release_head();
  } else if (head.held == sizeof head.bytes) { /* more NOPs than any host sends */
    release_head();
  }
}

/* Feed the bytes after a head to the server, up to the start of the next packet. Returns the number of bytes
 * used. */
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
