/* SPDX-License-Identifier: Apache-2.0 */
/* The UART of Nordic's nRF51 and nRF52 (nRF51 Series Reference Manual 3.0, nRF52840 Product Specification:
 * UART). Its clock is always 16 MHz. The field `setup` of the board's entry selects its pins. */
#include "../baremetal/port.h"

#define START_RX MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x000)
#define START_TX MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x008)
#define RX_READY MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x108)
#define TX_READY MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x11c)
#define INTERRUPTS_ON MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x304)
#define ERRORS MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x480)
#define ENABLE MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x500)
#define RX_DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x518)
#define TX_DATA MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x51c)
#define BAUD MTVM_REGISTER(32, BOARD_UART_ADDRESS + 0x524)

#define ENABLE_UART 4u /* 8 selects the UART with DMA */
#define RX_READY_INTERRUPT 0x4u
#define ALL_ERRORS 0xfu

/* The value that the table of the manuals lists for a baud rate, in steps of 4096. */
#define RATE ((((uint64_t)BOARD_UART_BAUD << 32) / 16000000u + 0x800u) & 0xfffff000u)
_Static_assert(BOARD_UART_CLOCK_HZ == 16000000, "the UART clock of an nRF must be 16000000 Hz");
_Static_assert(BOARD_UART_BAUD >= 1200, "the baud rate of an nRF must be at least 1200");
_Static_assert(BOARD_UART_BAUD <= 1000000, "the baud rate of an nRF must be at most 1000000");

void mtvm_uart_init(void) {
  BAUD = (uint32_t)RATE;
  ENABLE = ENABLE_UART;
  INTERRUPTS_ON = RX_READY_INTERRUPT;
  START_RX = 1;
  START_TX = 1;
}

/* Read all received bytes. When the buffer holds another byte, reading a byte raises the event again. */
void mtvm_uart_interrupt(void) {
  while (RX_READY != 0) {
    RX_READY = 0;
    mtvm_ring_put((uint8_t)RX_DATA);
  }
  ERRORS = ALL_ERRORS; /* writing ones clears the bits; the packet's CRC detects a lost byte */
}

void mtvm_uart_put(uint8_t byte) {
  TX_READY = 0;
  TX_DATA = byte;
  while (TX_READY == 0) {
  }
}
