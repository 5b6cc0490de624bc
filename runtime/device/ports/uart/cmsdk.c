/* SPDX-License-Identifier: Apache-2.0 */
/* The UART of Arm's Cortex-M System Design Kit (DDI 0479), as on the MPS2 and MPS3 boards. */
#include "../baremetal/port.h"

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

#define DIVISOR ((BOARD_UART_CLOCK_HZ + BOARD_UART_BAUD / 2) / BOARD_UART_BAUD)
_Static_assert(DIVISOR >= 16, "the clock of the UART is too slow for its baud rate: 16 cycles make a bit");
_Static_assert(DIVISOR < 1 << 20, "the clock of the UART is too fast for its baud rate: the divisor has 20 bits");

void mtvm_uart_init(void) {
  BAUDDIV = DIVISOR;
  CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT;
}

void mtvm_uart_interrupt(void) {
  INTCLEAR = INT_RX;
  STATE = STATE_RX_OVERRUN; /* a lost byte shows in the packet's CRC */
  while ((STATE & STATE_RX_FULL) != 0) {
    mtvm_ring_put((uint8_t)DATA);
  }
}

void mtvm_uart_put(uint8_t byte) {
  while ((STATE & STATE_TX_FULL) != 0) {
  }
  DATA = byte;
}
