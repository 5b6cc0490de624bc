/* SPDX-License-Identifier: Apache-2.0 */
/* The low-power UART of STM32G, H and L4 (RM0432): a USART whose divisor is in 256ths of a bit. */
#include <board.h>

#define DIVISOR ((BOARD_UART_CLOCK_HZ * 256ull + BOARD_UART_BAUD / 2) / BOARD_UART_BAUD)
_Static_assert(DIVISOR >= 0x300, "the clock of the UART is too slow for its baud rate: 3 cycles make a bit");
_Static_assert(DIVISOR < 1 << 20, "the clock of the UART is too fast for its baud rate: the divisor has 20 bits");

#include "stm32_v2.c"
