/* SPDX-License-Identifier: Apache-2.0 */
/* The divisor that generates a baud rate from the clock of a UART, and a check that its registers can hold
 * the divisor. */
#ifndef MTVM_UART_DIVISOR_H
#define MTVM_UART_DIVISOR_H

#include <board.h>

/* The rounded length of a bit, in units of `cycles` / `steps` clock cycles. Computed in 64 bits, because the
 * product can exceed 32 bits. */
#define MTVM_DIVISOR(steps, cycles) \
  ((BOARD_UART_CLOCK_HZ * (steps##ull) + (cycles##ull) * BOARD_UART_BAUD / 2) / ((cycles##ull) * BOARD_UART_BAUD))

/* Fail to compile when the divisor is not in `least` .. `most`. Truncated to the width of its register, the
 * divisor would generate another baud rate. */
#define MTVM_CHECK_DIVISOR(divisor, least, most)                                                        \
  _Static_assert((divisor) >= (least),                                                                  \
                 "the UART clock is too slow for the baud rate: the divisor must be at least " #least); \
  _Static_assert((divisor) <= (most),                                                                   \
                 "the UART clock is too fast for the baud rate: the divisor must be at most " #most)

#endif
