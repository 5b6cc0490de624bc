/* SPDX-License-Identifier: Apache-2.0 */
/* The UART of Nordic's nRF51 and nRF52 (nRF51 Series Reference Manual 3.0, nRF52840 Product Specification:
 * UART). Its clock is always 16 MHz; `setup` chooses its pins. */
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

#define ENABLE_UART 4u /* 8 would be the UART with DMA */
#define RX_READY_INTERRUPT 0x4u
#define ALL_ERRORS 0xfu

/* The manuals have a table: each entry is this, in steps of 4096. */
#define RATE ((((uint64_t)BOARD_UART_BAUD << 32) / 16000000u + 0x800u) & 0xfffff000u)
_Static_assert(BOARD_UART_CLOCK_HZ == 16000000, "the UART of an nRF has a clock of 16 MHz");
_Static_assert(BOARD_UART_BAUD >= 1200, "the UART of an nRF is not that slow: 1200 baud is its least");
_Static_assert(BOARD_UART_BAUD <= 1000000, "the UART of an nRF is not that fast: 1000000 baud is its most");

void mtvm_uart_init(void) {
  BAUD = (uint32_t)RATE;
  ENABLE = ENABLE_UART;
  INTERRUPTS_ON = RX_READY_INTERRUPT;
  START_RX = 1;
  START_TX = 1;
}

/* The event of a byte that is left in the receive buffer comes anew when the one before it is read. */
void mtvm_uart_interrupt(void) {
  while (RX_READY != 0) {
    RX_READY = 0;
    mtvm_ring_put((uint8_t)RX_DATA);
  }
  ERRORS = ALL_ERRORS; /* set bits are cleared; a lost byte shows in the packet's CRC */
}

void mtvm_uart_put(uint8_t byte) {
  TX_READY = 0;
  TX_DATA = byte;
  while (TX_READY == 0) {
  }
}
