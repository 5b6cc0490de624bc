/* SPDX-License-Identifier: Apache-2.0 */
/* The USART of STM32F1, F2, F4 and L1 (RM0041, RM0033, RM0090): one status register and one data register. */
#include "../baremetal/port.h"
#include "divisor.h"

#define STATUS MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x00)
#define DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x04)
#define BAUD MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x08)
#define CONTROL MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x0c)

#define STATUS_OVERRUN 0x08u
#define STATUS_RX_FULL 0x20u
#define STATUS_TX_EMPTY 0x80u
#define CONTROL_ON_TX_RX 0x200cu
#define CONTROL_RX_INTERRUPT 0x20u

#define DIVISOR MTVM_DIVISOR(1, 1) /* 16 bits; at least 16 samples per bit */
MTVM_CHECK_DIVISOR(DIVISOR, 16, 0xffff);

void mtvm_uart_init(void) {
  BAUD = (uint32_t)DIVISOR;
  CONTROL = CONTROL_ON_TX_RX | CONTROL_RX_INTERRUPT;
}

/* Read all received bytes. An overrun causes an interrupt, too; reading the status and then the data clears
 * it. */
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
