/* SPDX-License-Identifier: Apache-2.0 */
/* The divisor that makes a baud rate from the clock of a UART, and the check that its registers can hold it. */
#ifndef MTVM_UART_DIVISOR_H
#define MTVM_UART_DIVISOR_H

#include <board.h>

/* The rounded length of a bit, in units of cycles / steps clock cycles. In 64 bits, because a clock may be above
 * 4 GHz. */
#define MTVM_DIVISOR(steps, cycles) \
  ((BOARD_UART_CLOCK_HZ * (steps##ull) + (cycles##ull) * BOARD_UART_BAUD / 2) / ((cycles##ull) * BOARD_UART_BAUD))

/* Refuse to compile when the divisor is not in `least` .. `most`: cut to the width of its register it would make
 * another baud rate. */
#define MTVM_CHECK_DIVISOR(divisor, least, most)                                                               \
  _Static_assert((divisor) >= (least),                                                                         \
                 "the clock of the UART is too slow for its baud rate: its divisor must be at least " #least); \
  _Static_assert((divisor) <= (most),                                                                          \
                 "the clock of the UART is too fast for its baud rate: its divisor must be at most " #most)

#endif
