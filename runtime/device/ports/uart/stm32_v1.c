/* SPDX-License-Identifier: Apache-2.0 */
/* The USART of STM32F1, F2, F4 and L1 (RM0041, RM0033, RM0090): one status and one data register. */
#include "../baremetal/port.h"

#define STATUS MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x00)
#define DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x04)
#define BAUD MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x08)
#define CONTROL MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x0c)

#define STATUS_OVERRUN 0x08u
#define STATUS_RX_FULL 0x20u
#define STATUS_TX_EMPTY 0x80u
#define CONTROL_ON_TX_RX 0x200cu
#define CONTROL_RX_INTERRUPT 0x20u

#define DIVISOR ((BOARD_UART_CLOCK_HZ + BOARD_UART_BAUD / 2) / BOARD_UART_BAUD)
_Static_assert(DIVISOR >= 16, "the clock of the UART is too slow for its baud rate: 16 cycles make a bit");
_Static_assert(DIVISOR < 1 << 16, "the clock of the UART is too fast for its baud rate: the divisor has 16 bits");

void mtvm_uart_init(void) {
  BAUD = DIVISOR;
  CONTROL = CONTROL_ON_TX_RX | CONTROL_RX_INTERRUPT;
}

/* An overrun interrupts too, and is cleared by reading the status, then the data. */
void mtvm_uart_interrupt(void) {
  uint32_t status;
  while (((status = STATUS) & (STATUS_RX_FULL | STATUS_OVERRUN)) != 0) {
    const uint8_t byte = (uint8_t)DATA;
    if ((status & STATUS_RX_FULL) != 0) {
      mtvm_ring_put(byte);
    }
  }
}

void mtvm_uart_put(uint8_t byte) {
  while ((STATUS & STATUS_TX_EMPTY) == 0) {
  }
  DATA = byte;
}
