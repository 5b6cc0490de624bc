/* SPDX-License-Identifier: Apache-2.0 */
/* Packets on a byte stream.
 *
 * FF FD, length (u32), payload, CRC (u16); little-endian. In length, payload and CRC an FF is written
 * FF FF; FF FE is to be skipped; FF FD starts a packet wherever it stands. The CRC (CCITT-FALSE) covers the
 * bytes as they are on the wire, from FF FD to the end of the payload. */
#ifndef MTVM_FRAMING_H
#define MTVM_FRAMING_H

#include <microtvm/wire.h>

uint16_t mtvm_crc16(uint16_t crc, const uint8_t *data, size_t n);

void mtvm_unframer_init(mtvm_unframer_t *unframer, uint8_t *buffer, size_t capacity);

/* Take bytes until a packet is complete; returns how many were taken. The packet is in the buffer until
 * the next call. When length is more than capacity, only its beginning is there. */
size_t mtvm_unframer_feed(mtvm_unframer_t *unframer, const uint8_t *data, size_t n, bool *complete);

void mtvm_framer_init(mtvm_framer_t *framer, mtvm_write_fn write, void *context);

/* The byte pair without meaning that follows a reset. */
void mtvm_framer_nop(mtvm_framer_t *framer);

/* One packet: begin, payload in any number of pieces that add up to payload_length, end. */
void mtvm_framer_begin(mtvm_framer_t *framer, size_t payload_length);
void mtvm_framer_put(mtvm_framer_t *framer, const void *data, size_t n);
void mtvm_framer_end(mtvm_framer_t *framer);

#endif
