/* SPDX-License-Identifier: Apache-2.0 */
#include "stm32_usart.h"

#include "../../baremetal/port.h"

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

void mtvm_stm32_usart_init(uint32_t divisor) {
  BAUD = divisor;
  CONTROL = CONTROL_ON_TX_RX | CONTROL_RX_INTERRUPT;
}

/* Read all received bytes, then clear an overrun, which causes an interrupt, too. */
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
