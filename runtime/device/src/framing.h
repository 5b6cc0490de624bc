/* SPDX-License-Identifier: Apache-2.0 */
/* Packets on a byte stream.
 *
 * A packet is FF FD, length (u32), payload, CRC (u16), in little-endian order. An FF in length, payload or CRC is
 * sent as FF FF. FF FE is ignored. FF FD starts a packet at any position. The CRC (CCITT-FALSE) covers the bytes
 * on the wire, from FF FD to the end of the payload, with their escapes. */
#ifndef MTVM_FRAMING_H
#define MTVM_FRAMING_H

#include <microtvm/wire.h>

/* Return the CRC after `n` more bytes. The initial value is 0xffff. */
uint16_t mtvm_crc16(uint16_t crc, const uint8_t *data, size_t n);

/* Initialise the receiver. Payloads are stored in `buffer`, of `capacity` bytes. */
void mtvm_unframer_init(mtvm_unframer_t *unframer, uint8_t *buffer, size_t capacity);

/* Process bytes until a packet is complete; `complete` reports whether it is. Returns the number of bytes
 * used.
 *
 * The packet stays in the buffer until the next call. If `length` exceeds `capacity`, the buffer holds only
 * its beginning. */
size_t mtvm_unframer_feed(mtvm_unframer_t *unframer, const uint8_t *data, size_t n, bool *complete);

/* Initialise the sender. It passes its bytes to `write`, with `context` as first argument. */
void mtvm_framer_init(mtvm_framer_t *framer, mtvm_write_fn write, void *context);

/* Send the single byte that follows a reset: FE, the code of a NOP without its escape. */
void mtvm_framer_nop(mtvm_framer_t *framer);

/* Send one packet: begin it, put its payload in any number of pieces of `payload_length` bytes in total, end
 * it. */
void mtvm_framer_begin(mtvm_framer_t *framer, size_t payload_length);
void mtvm_framer_put(mtvm_framer_t *framer, const void *data, size_t n);
void mtvm_framer_end(mtvm_framer_t *framer);

#endif
