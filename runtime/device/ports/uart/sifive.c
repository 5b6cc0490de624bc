/* SPDX-License-Identifier: Apache-2.0 */
/* The UART of SiFive (SiFive FE310-G002 Manual, chapter 18). */
#include "../baremetal/port.h"
#include "divisor.h"

#define TXDATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x00)
#define RXDATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x04)
#define TXCTRL MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x08)
#define RXCTRL MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x0c)
#define IE MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x10)
#define DIV MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x18)

#define TX_FULL 0x80000000u
#define RX_EMPTY 0x80000000u
#define ENABLE 0x1u /* with watermark 0: interrupt at the first byte */
#define IE_RX 0x2u

#define DIVISOR MTVM_DIVISOR(1, 1) /* DIV holds the divisor minus 1 in 16 bits; at least 16 samples per bit */
MTVM_CHECK_DIVISOR(DIVISOR, 16, 0x10000);

void mtvm_uart_init(void) {
  DIV = (uint32_t)DIVISOR - 1u;
  TXCTRL = ENABLE;
  RXCTRL = ENABLE;
  IE = IE_RX;
}

void mtvm_uart_interrupt(void) {
  uint32_t data;
  while (((data = RXDATA) & RX_EMPTY) == 0) { /* reading removes the byte */
    mtvm_ring_put((uint8_t)data);
  }
}

void mtvm_uart_put(uint8_t byte) {
  while ((TXDATA & TX_FULL) != 0) {
  }
  TXDATA = byte;
}
