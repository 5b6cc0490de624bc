/* SPDX-License-Identifier: Apache-2.0 */
#include "framing.h"

#include <string.h>

enum { ESCAPE = 0xff, NOP = 0xfe, START = 0xfd };
enum { SEEK, LENGTH, PAYLOAD, CRC };

#define LENGTH_BYTES 4u
#define CRC_BYTES 2u
#define START_CRC 0x2042u /* of FF FD, the start of every packet */

/* Computed bytewise without a table: the polynomial x^16 + x^12 + x^5 + 1 has four terms, so eight steps of
 * the shift register equal a few shifts of the top byte. */
uint16_t mtvm_crc16(uint16_t crc, const uint8_t *data, size_t n) {
  uint32_t state = crc;
  for (size_t i = 0; i < n; i++) {
    uint32_t top = (state >> 8) ^ data[i];
    top ^= top >> 4;
    state = ((state << 8) ^ (top << 12) ^ (top << 5) ^ top) & 0xffffu;
  }
  return (uint16_t)state;
}

void mtvm_unframer_init(mtvm_unframer_t *unframer, uint8_t *buffer, size_t capacity) {
  memset(unframer, 0, sizeof *unframer);
  unframer->buffer = buffer;
  unframer->capacity = (uint32_t)capacity;
}

static void enter(mtvm_unframer_t *unframer, uint8_t state) {
  unframer->state = state;
  unframer->received = 0;
}

/* Process a byte without its escape. Returns whether it completes a packet with a valid CRC. */
static bool receive_plain(mtvm_unframer_t *unframer, uint8_t byte) {
  const uint32_t index = unframer->received++;
  switch (unframer->state) {
    case LENGTH:
      unframer->length |= (uint32_t)byte << (8 * index);
      if (index + 1 == LENGTH_BYTES) {
        enter(unframer, unframer->length == 0 ? CRC : PAYLOAD);
      }
      return false;
    case PAYLOAD:
      if (index < unframer->capacity) {
        unframer->buffer[index] = byte;
      }
      if (index + 1 == unframer->length) {
        enter(unframer, CRC);
      }
      return false;
    case CRC:
      unframer->wire_crc = (uint16_t)(unframer->wire_crc | (uint32_t)byte << (8 * index));
      if (index + 1 < CRC_BYTES) {
        return false;
      }
      enter(unframer, SEEK);
      return unframer->wire_crc == unframer->crc;
    default:
      return false;
  }
}

static bool receive_escaped(mtvm_unframer_t *unframer, uint8_t byte) {
  if (byte == START) {
    enter(unframer, LENGTH);
    unframer->length = 0;
    unframer->wire_crc = 0;
    unframer->crc = START_CRC;
  } else if (byte == ESCAPE && unframer->state == SEEK) {
    unframer->escape = true; /* noise that ends in FF must not hide the FF FD after it */
  } else if (byte == ESCAPE) {
    return receive_plain(unframer, byte);
  } else if (byte != NOP) {
    enter(unframer, SEEK);
  }
  return false;
}

static bool receive(mtvm_unframer_t *unframer, uint8_t byte) {
  const bool escaped = unframer->escape;
  if (unframer->state == LENGTH || unframer->state == PAYLOAD) {
    unframer->crc = mtvm_crc16(unframer->crc, &byte, 1);
  }
  unframer->escape = !escaped && byte == ESCAPE;
  if (unframer->escape) {
    return false;
  }
  return escaped ? receive_escaped(unframer, byte) : receive_plain(unframer, byte);
}

/* Process the bytes of the payload before the next escape together. Returns their number. */
static size_t receive_run(mtvm_unframer_t *unframer, const uint8_t *data, size_t n) {
  const uint32_t missing = unframer->length - unframer->received;
  n = n < missing ? n : missing;
  const uint8_t *escape = memchr(data, ESCAPE, n);
  n = escape == NULL ? n : (size_t)(escape - data);
  unframer->crc = mtvm_crc16(unframer->crc, data, n);
  if (unframer->received < unframer->capacity) {
    const uint32_t room = unframer->capacity - unframer->received;
    memcpy(unframer->buffer + unframer->received, data, n < room ? n : room);
  }
  unframer->received += (uint32_t)n;
  if (unframer->received == unframer->length) {
    enter(unframer, CRC);
  }
  return n;
}

size_t mtvm_unframer_feed(mtvm_unframer_t *unframer, const uint8_t *data, size_t n, bool *complete) {
  size_t used = 0;
  *complete = false;
  while (used < n && !*complete) {
    size_t run = 0;
    if (unframer->state == PAYLOAD && !unframer->escape) {
      run = receive_run(unframer, data + used, n - used);
    }
    if (run == 0) {
      *complete = receive(unframer, data[used]);
      run = 1;
    }
    used += run;
  }
  return used;
}

void mtvm_framer_init(mtvm_framer_t *framer, mtvm_write_fn write, void *context) {
  framer->write = write;
  framer->context = context;
  framer->used = 0;
}

static void flush(mtvm_framer_t *framer) {
  if (framer->used > 0) {
    framer->write(framer->context, framer->buffer, framer->used);
    framer->used = 0;
  }
}

static void put_raw(mtvm_framer_t *framer, const uint8_t *data, size_t n) {
  framer->crc = mtvm_crc16(framer->crc, data, n);
  while (n > 0) {
    size_t room = sizeof framer->buffer - framer->used;
    room = n < room ? n : room;
    memcpy(framer->buffer + framer->used, data, room);
    framer->used = (uint16_t)(framer->used + room);
    if (framer->used == sizeof framer->buffer) {
      flush(framer);
    }
    data += room;
    n -= room;
  }
}

void mtvm_framer_nop(mtvm_framer_t *framer) {
  static const uint8_t nop = NOP; /* without FF: a host reads it as the end of boot noise */
  put_raw(framer, &nop, 1);
}

static void put_number(mtvm_framer_t *framer, uint32_t number, size_t n) {
  uint8_t bytes[LENGTH_BYTES];
  for (size_t i = 0; i < n; i++) {
    bytes[i] = (uint8_t)(number >> (8 * i));
  }
  mtvm_framer_put(framer, bytes, n);
}

void mtvm_framer_begin(mtvm_framer_t *framer, size_t payload_length) {
  static const uint8_t start[] = {ESCAPE, START};
  framer->crc = 0xffff;
  put_raw(framer, start, sizeof start);
  put_number(framer, (uint32_t)payload_length, LENGTH_BYTES);
}

void mtvm_framer_put(mtvm_framer_t *framer, const void *data, size_t n) {
  static const uint8_t escape = ESCAPE;
  const uint8_t *from = data;
  while (n > 0) {
    const uint8_t *found = memchr(from, ESCAPE, n);
    const size_t run = found == NULL ? n : (size_t)(found - from) + 1;
    put_raw(framer, from, run);
    if (found != NULL) {
      put_raw(framer, &escape, 1);
    }
    from += run;
    n -= run;
  }
}

void mtvm_framer_end(mtvm_framer_t *framer) {
  put_number(framer, framer->crc, CRC_BYTES);
  flush(framer);
}
