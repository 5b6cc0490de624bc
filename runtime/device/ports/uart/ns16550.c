/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550 of National Semiconductor and compatible UARTs, with one byte per register. */
#include "../baremetal/port.h"
#include "divisor.h"

#define DATA MTVM_REGISTER(8, BOARD_UART_ADDRESS + 0)
#define INTERRUPTS MTVM_REGISTER(8, BOARD_UART_ADDRESS + 1)
#define FIFO MTVM_REGISTER(8, BOARD_UART_ADDRESS + 2)
#define LINE MTVM_REGISTER(8, BOARD_UART_ADDRESS + 3)
#define STATE MTVM_REGISTER(8, BOARD_UART_ADDRESS + 5)
#define DIVISOR_LOW DATA        /* while LINE_DIVISOR is set */
#define DIVISOR_HIGH INTERRUPTS /* while LINE_DIVISOR is set */

#define INTERRUPT_RX 0x01u
#define FIFO_ON_EMPTY 0xc7u /* interrupt at 14 bytes, or after a pause */
#define LINE_8_BITS 0x03u
#define LINE_DIVISOR 0x80u
#define STATE_RX 0x01u
#define STATE_TX_EMPTY 0x20u

#define DIVISOR MTVM_DIVISOR(1, 16) /* 16 bits */
MTVM_CHECK_DIVISOR(DIVISOR, 1, 0xffff);

void mtvm_uart_init(void) {
  LINE = LINE_DIVISOR;
  DIVISOR_LOW = (uint8_t)DIVISOR;
  DIVISOR_HIGH = (uint8_t)(DIVISOR >> 8);
  LINE = LINE_8_BITS;
  FIFO = FIFO_ON_EMPTY;
  INTERRUPTS = INTERRUPT_RX;
}

void mtvm_uart_interrupt(void) {
  while ((STATE & STATE_RX) != 0) {
    mtvm_ring_put(DATA);
  }
}

void mtvm_uart_put(uint8_t byte) {
  while ((STATE & STATE_TX_EMPTY) == 0) {
  }
  DATA = byte;
}
