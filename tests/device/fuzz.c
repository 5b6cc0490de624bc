/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of conversations with a device. It sends recorded requests with current handles, in order or not,
 * complete or not, with changed bytes, between noise and other messages.
 *
 * As a program: `fuzz <seed> <conversations>`. For libFuzzer, compiled with -DLIBFUZZER, the fuzzer's bytes
 * decide everything; see README.md. The program aborts on a finding of a sanitizer, on an invalid reply, and
 * when a request does not have exactly one reply. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framing.h"
#include "harness.h"

typedef struct {
  uint16_t at;
  uint16_t slot;
} place_t;

typedef struct {
  const uint8_t *request;
  size_t length;
  const place_t *fixups;
  size_t fixup_count;
  const place_t *captures;
  size_t capture_count;
} step_t;

typedef struct {
  const step_t *steps;
  size_t count;
} conversation_t;

#include "conversations.h"

enum { TERMINATE = 0x02, LOG = 0x03, NORMAL = 0x10, INIT = 0x00, REPLY = 0x01 };
enum { SHUTDOWN = 1, RETURN = 4, EXCEPTION = 5, COPY_ACK = 8 };

#define SLOTS 64
#define LARGEST 4096

static const uint8_t *choices; /* NULL: use the random number generator */
static size_t choices_left;
static uint64_t state;

static uint64_t slots[SLOTS];
static uint16_t session;
static uint8_t reply[1 << 13];
static size_t reply_length;
static unsigned long statistics[16]; /* number of replies by code */

static void fail(const char *what) {
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

static uint32_t draw(uint32_t below) {
  uint32_t value = 0;
  if (choices == NULL) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 11) % below;
  }
  for (uint32_t i = 0; i < (below > 256 ? 2u : 1u) && choices_left > 0; i++) {
    value = value << 8 | *choices++;
    choices_left--;
  }
  return value % below;
}

static size_t escape(uint8_t *to, const uint8_t *from, size_t n) {
  size_t used = 0;
  for (size_t i = 0; i < n; i++) {
    to[used++] = from[i];
    if (from[i] == 0xff) {
      to[used++] = 0xff;
    }
  }
  return used;
}

static size_t frame(uint8_t *to, const uint8_t *payload, size_t n) {
  const uint8_t length[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
  size_t used = 2;
  uint16_t crc;
  uint8_t end[2];
  to[0] = 0xff;
  to[1] = 0xfd;
  used += escape(to + used, length, sizeof length);
  used += escape(to + used, payload, n);
  crc = mtvm_crc16(0xffff, to, used);
  end[0] = (uint8_t)crc;
  end[1] = (uint8_t)(crc >> 8);
  return used + escape(to + used, end, sizeof end);
}

/* Return one byte of a packet without its escape. */
static uint8_t unescape(const uint8_t *wire, size_t n, size_t *at) {
  if (*at >= n || (wire[*at] == 0xff && (*at + 1 >= n || wire[*at + 1] != 0xff))) {
    fail("truncated packet or invalid escape from the device");
  }
  *at += wire[*at] == 0xff ? 1 : 0;
  return wire[(*at)++];
}

/* Store the payload of the device's next packet in `reply`. Returns the end of the packet. */
static size_t take_packet(const uint8_t *wire, size_t n, size_t at) {
  size_t begin;
  size_t crc_at;
  uint32_t length = 0;
  uint32_t crc;
  at += wire[at] == 0xfe ? 1 : 0;
  begin = at;
  if (n - at < 2 || wire[at] != 0xff || wire[at + 1] != 0xfd) {
    fail("bytes between packets of the device");
  }
  at += 2;
  for (uint32_t i = 0; i < 4; i++) {
    length |= (uint32_t)unescape(wire, n, &at) << (8 * i);
  }
  if (length < 3 || length > 2048) {
    fail("invalid packet length from the device");
  }
  for (uint32_t i = 0; i < length; i++) {
    reply[i] = unescape(wire, n, &at);
  }
  reply_length = length;
  crc_at = at;
  crc = unescape(wire, n, &at);
  crc |= (uint32_t)unescape(wire, n, &at) << 8;
  if (crc != mtvm_crc16(0xffff, wire + begin, crc_at - begin)) {
    fail("wrong CRC from the device");
  }
  return at;
}

static uint64_t load(const uint8_t *from, size_t bytes) {
  uint64_t value = 0;
  memcpy(&value, from, bytes);
  return value;
}

static void check_reply(void) {
  const uint32_t code = (uint32_t)load(reply + 11, 4);
  if (reply_length < 15 || load(reply + 3, 8) != reply_length - 11 || load(reply, 2) != session) {
    fail("reply with a wrong length or session");
  }
  if (code != RETURN && code != EXCEPTION && code != COPY_ACK) {
    fail("reply with an unknown code");
  }
  if (code == EXCEPTION && reply_length < 15 + 4 + 4 + 8 + 1) {
    fail("exception without a message");
  }
  statistics[code]++;
}

/* Feed bytes, perhaps in pieces. Returns the number of replies; the last one is in `reply`. */
static size_t feed(const uint8_t *wire, size_t n) {
  size_t replies = 0;
  size_t out_size;
  size_t at = 0;
  const uint8_t *out;
  const bool cut = draw(8) == 0;
  harness_clear();
  while (at < n) {
    size_t piece = cut ? 1 + draw(40) : n;
    piece = piece < n - at ? piece : n - at;
    harness_feed(wire + at, piece);
    at += piece;
  }
  out = harness_output(&out_size);
  for (at = 0; at < out_size;) {
    at = take_packet(out, out_size, at);
    if (reply[2] == NORMAL) {
      check_reply();
      replies++;
    } else if (reply[2] == REPLY) {
      session = (uint16_t)load(reply, 2);
    } else if (reply[2] != LOG && reply[2] != TERMINATE) {
      fail("unknown message type from the device");
    }
  }
  return replies;
}

static void send(uint16_t id, uint8_t type, const uint8_t *body, size_t n) {
  static uint8_t payload[LARGEST + 3];
  static uint8_t wire[2 * sizeof payload + 16];
  payload[0] = (uint8_t)id;
  payload[1] = (uint8_t)(id >> 8);
  payload[2] = type;
  memcpy(payload + 3, body, n);
  (void)feed(wire, frame(wire, payload, n + 3));
}

static void open_session(void) {
  static const uint8_t version = 1;
  session = 0;
  send(0, TERMINATE, &version, 0);
  send((uint16_t)(1 + draw(255)), INIT, &version, 1);
  if (session == 0) {
    fail("no reply to the start of a session");
  }
}

static void mutate(uint8_t *body, size_t n) {
  static const uint64_t numbers[] = {0,          1,          2,          7,           11,          0x7f,
                                     0xff,       0x7fff,     0x7fffffff, 0x80000000u, 0xffffffffu, 1ull << 32,
                                     1ull << 62, 1ull << 63, ~0ull,      64,          2048,        9};
  for (uint32_t changes = 1 + draw(4); changes > 0 && n > 8; changes--) {
    const size_t at = draw((uint32_t)n);
    const size_t room = n - at < 8 ? n - at : 8;
    uint64_t number = numbers[draw(sizeof numbers / sizeof numbers[0])];
    switch (draw(4)) {
      case 0:
        body[at] = (uint8_t)(body[at] ^ 1u << draw(8));
        break;
      case 1:
        body[at] = (uint8_t)draw(256);
        break;
      case 2:
        memcpy(body + at, &number, room < 4 ? room : 4);
        break;
      default:
        number = draw(3) == 0 ? slots[draw(SLOTS)] : number;
        memcpy(body + at, &number, room);
        break;
    }
  }
}

static size_t resize(uint8_t *body, size_t n) {
  size_t size = draw(2) == 0 ? draw((uint32_t)n + 1) : n + draw(draw(4) == 0 ? 2200 : 20);
  size = size < LARGEST ? size : LARGEST;
  for (size_t i = n; i < size; i++) {
    body[i] = (uint8_t)draw(256);
  }
  if (size >= 12 && draw(4) != 0) {
    const uint64_t length = size - 8;
    memcpy(body, &length, 8);
  }
  return size;
}

static bool is_shutdown(const uint8_t *body, size_t n) {
  return n >= 12 && load(body, 8) == n - 8 && load(body + 8, 4) == SHUTDOWN;
}

/* Send a message of the session and check that it has one reply. */
static void ask(const uint8_t *body, size_t n) {
  static uint8_t payload[LARGEST + 3];
  static uint8_t wire[2 * sizeof payload + 16];
  size_t replies;
  payload[0] = (uint8_t)session;
  payload[1] = (uint8_t)(session >> 8);
  payload[2] = NORMAL;
  memcpy(payload + 3, body, n);
  replies = feed(wire, frame(wire, payload, n + 3));
  if (is_shutdown(body, n) && replies == 0) {
    open_session();
  } else if (replies != 1) {
    fail("expected one reply to a request");
  }
}

static void capture(const step_t *step) {
  for (size_t i = 0; i < step->capture_count; i++) {
    if (load(reply + 11, 4) == RETURN && reply_length >= 3u + step->captures[i].at + 8) {
      slots[step->captures[i].slot] = load(reply + 3 + step->captures[i].at, 8);
    }
  }
}

static size_t fill(uint8_t *body, const step_t *step) {
  memcpy(body, step->request, step->length);
  for (size_t i = 0; i < step->fixup_count; i++) {
    memcpy(body + step->fixups[i].at, &slots[step->fixups[i].slot], 8);
  }
  return step->length;
}

static void garble(const uint8_t *body, size_t n) {
  /* A remaining FF would turn the FF at the start of the next packet into a literal. */
  static const uint8_t end_of_escape = 0;
  static uint8_t wire[2 * LARGEST + 32];
  size_t size = frame(wire, body, n);
  for (uint32_t changes = draw(4); changes > 0; changes--) {
    wire[draw((uint32_t)size)] = (uint8_t)(draw(2) == 0 ? 0xff - draw(4) : draw(256));
  }
  (void)feed(wire, draw(2) == 0 ? size : draw((uint32_t)size));
  (void)feed(&end_of_escape, 1);
}

static void change_session(uint8_t *body, size_t n) {
  switch (draw(4)) {
    case 0:
      open_session();
      break;
    case 1:
      send((uint16_t)(session ^ 1u << draw(16)), NORMAL, body, n);
      break;
    case 2:
      send(draw(2) == 0 ? session : 0, (uint8_t)draw(256), body, draw((uint32_t)n));
      open_session();
      break;
    default:
      send(session, TERMINATE, body, 0);
      open_session();
      break;
  }
}

static void take_step(const step_t *step, bool calm) {
  static uint8_t body[LARGEST + 8];
  size_t n = fill(body, step);
  const uint32_t what = calm ? 0 : draw(16);
  if (what == 10) {
    garble(body, n);
    return;
  }
  if (what == 11) {
    change_session(body, n);
    return;
  }
  if (what >= 12) {
    mutate(body, n);
  }
  if (what == 15) {
    n = resize(body, n);
  }
  ask(body, n);
  if (what < 12) {
    capture(step);
  }
}

static void converse(void) {
  static const size_t buffers[] = {2048, 2048, 2048, 600, 256, 4096};
  static const size_t workspaces[] = {65536, 65536, 16384, 4096, 1500, 300};
  const conversation_t *conversation = &conversations[draw(sizeof conversations / sizeof conversations[0])];
  harness_nonce = (uint8_t)draw(256);
  harness_seconds = draw(4) == 0 ? 0 : 0.0005;
  memset(slots, 0, sizeof slots);
  if (harness_reset(buffers[draw(6)], workspaces[draw(6)]) != 0) {
    fail("the reset failed");
  }
  open_session();
  for (size_t i = 0; i < conversation->count; i++) {
    const uint32_t jump = draw(24);
    const bool calm = draw(3) != 0;
    take_step(&conversation->steps[jump == 0 ? draw((uint32_t)conversation->count) : i], calm);
    i -= jump == 1 && i > 0 ? 1 : 0;
    if (choices != NULL && choices_left == 0) {
      break;
    }
  }
}

#ifdef LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  choices = data;
  choices_left = size;
  converse();
  return 0;
}
#else
int main(int argc, char **argv) {
  const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  const unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
  for (unsigned long i = 0; i < count; i++) {
    state = (seed * 1000003 + i + 1) * 0x9e3779b97f4a7c15u; /* each conversation can be run alone */
    state = state == 0 ? 1 : state;
    converse();
  }
  printf("conversations %lu returned %lu exceptions %lu copies %lu\n", count, statistics[RETURN],
         statistics[EXCEPTION], statistics[COPY_ACK]);
  return 0;
}
#endif
