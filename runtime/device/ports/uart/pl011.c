/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's PrimeCell UART PL011 (DDI 0183), as in Stellaris and many other chips. */
#include "../baremetal/port.h"
#include "divisor.h"

#define DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x00)
#define FLAGS MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x18)
#define BAUD_WHOLE MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x24)
#define BAUD_FRACTION MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x28)
#define LINE MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x2c)
#define CONTROL MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x30)
#define INTERRUPTS MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x38)
#define CLEAR MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x44)

#define FLAGS_RX_EMPTY 0x10u
#define FLAGS_TX_FULL 0x20u
#define LINE_8_BITS_FIFO 0x70u
#define CONTROL_ON_TX_RX 0x301u
#define RX_LEVEL 0x10u
#define RX_TIMEOUT 0x40u /* the FIFO is below its level, and no byte has arrived for 32 bits */
#define RX_OVERRUN 0x400u

/* A 16-bit integer and a 6-bit fraction, in units of 16 cycles. */
#define DIVISOR MTVM_DIVISOR(64, 16)
MTVM_CHECK_DIVISOR(DIVISOR, 64, 0x3fffff);

/* A new divisor takes effect with the write to LINE. */
void mtvm_uart_init(void) {
  CONTROL = 0;
  BAUD_WHOLE = (uint32_t)(DIVISOR / 64);
  BAUD_FRACTION = (uint32_t)(DIVISOR % 64);
  LINE = LINE_8_BITS_FIFO;
  INTERRUPTS = RX_LEVEL | RX_TIMEOUT;
  CONTROL = CONTROL_ON_TX_RX;
}

void mtvm_uart_interrupt(void) {
  CLEAR = RX_LEVEL | RX_TIMEOUT | RX_OVERRUN; /* the packet's CRC detects a lost byte */
  while ((FLAGS & FLAGS_RX_EMPTY) == 0) {
    mtvm_ring_put((uint8_t)DATA);
  }
}

void mtvm_uart_put(uint8_t byte) {
  while ((FLAGS & FLAGS_TX_FULL) != 0) {
  }
  DATA = byte;
}
