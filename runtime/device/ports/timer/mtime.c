/* SPDX-License-Identifier: Apache-2.0 */
/* mtime, the memory-mapped timer of the RISC-V privileged architecture. The board's entry gives its address
 * and its frequency. */
#include "../baremetal/port.h"

uint32_t mtvm_timer_hz(void) { return BOARD_TIMER_HZ; }

void mtvm_timer_init(void) {} /* it runs from reset */

uint64_t mtvm_timer_ticks(void) {
#if __riscv_xlen == 64
  return MTVM_REGISTER(64, BOARD_TIMER_ADDRESS);
#else
  uint32_t high;
  uint32_t low;
  do { /* repeat when the lower half has overflowed */
    high = MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 4);
    low = MTVM_REGISTER(32, BOARD_TIMER_ADDRESS);
  } while (high != MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 4));
  return (uint64_t)high << 32 | low;
#endif
}
