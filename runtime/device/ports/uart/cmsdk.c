/* SPDX-License-Identifier: Apache-2.0 */
/* The UART of Arm's Cortex-M System Design Kit (DDI 0479), as on the MPS2 and MPS3 boards. */
#include "../baremetal/port.h"
#include "divisor.h"

#define DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x00)
#define STATE MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x04)
#define CTRL MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x08)
#define INTCLEAR MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x0c)
#define BAUDDIV MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x10)

#define STATE_TX_FULL 0x1u
#define STATE_RX_FULL 0x2u
#define STATE_RX_OVERRUN 0x8u
#define CTRL_TX_ENABLE 0x1u
#define CTRL_RX_ENABLE 0x2u
#define CTRL_RX_INTERRUPT 0x8u
#define INT_RX 0x2u

#define DIVISOR MTVM_DIVISOR(1, 1) /* 20 bits; at least 16 samples per bit */
MTVM_CHECK_DIVISOR(DIVISOR, 16, 0xfffff);

void mtvm_uart_init(void) {
  BAUDDIV = (uint32_t)DIVISOR;
  CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT;
}

void mtvm_uart_interrupt(void) {
  INTCLEAR = INT_RX;
  STATE = STATE_RX_OVERRUN; /* the packet's CRC detects a lost byte */
  while ((STATE & STATE_RX_FULL) != 0) {
    mtvm_ring_put((uint8_t)DATA);
  }
}

void mtvm_uart_put(uint8_t byte) {
  while ((STATE & STATE_TX_FULL) != 0) {
  }
  DATA = byte;
}
