/* SPDX-License-Identifier: Apache-2.0 */
/* The USART of STM32F0, F3, F7, G, H and L4 (RM0385, RM0432): separate data registers, flags cleared by
 * writing. stm32_lpuart.c is this with another divisor. */
#include "../baremetal/port.h"

#define CONTROL MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x00)
#define BAUD MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x0c)
#define STATUS MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x1c)
#define CLEAR MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x20)
#define RX_DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x24)
#define TX_DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x28)

#define STATUS_OVERRUN 0x08u
#define STATUS_RX_FULL 0x20u
#define STATUS_TX_EMPTY 0x80u
#define CONTROL_ON_TX_RX 0x0du
#define CONTROL_RX_INTERRUPT 0x20u

#ifndef DIVISOR
#define DIVISOR ((BOARD_UART_CLOCK_HZ + BOARD_UART_BAUD / 2) / BOARD_UART_BAUD)
_Static_assert(DIVISOR >= 16, "the clock of the UART is too slow for its baud rate: 16 cycles make a bit");
_Static_assert(DIVISOR < 1 << 16, "the clock of the UART is too fast for its baud rate: the divisor has 16 bits");
#endif

void mtvm_uart_init(void) {
  BAUD = (uint32_t)(DIVISOR);
  CONTROL = CONTROL_ON_TX_RX | CONTROL_RX_INTERRUPT;
}

/* An overrun interrupts too. */
void mtvm_uart_interrupt(void) {
  while ((STATUS & STATUS_RX_FULL) != 0) {
    mtvm_ring_put((uint8_t)RX_DATA);
  }
  CLEAR = STATUS_OVERRUN;
}

void mtvm_uart_put(uint8_t byte) {
  while ((STATUS & STATUS_TX_EMPTY) == 0) {
  }
  TX_DATA = byte;
}
