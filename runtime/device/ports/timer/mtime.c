/* SPDX-License-Identifier: Apache-2.0 */
/* mtime, the timer that the RISC-V privileged architecture has in memory. The board's entry says where, and
 * how many times a second it counts. */
#include "../baremetal/port.h"

const uint32_t mtvm_timer_hz = BOARD_TIMER_HZ;

void mtvm_timer_init(void) {} /* it runs from the reset on */

uint64_t mtvm_timer_ticks(void) {
#if __riscv_xlen == 64
  return MTVM_REGISTER(64, BOARD_TIMER_ADDRESS);
#else
  uint32_t high;
  uint32_t low;
  do { /* again when the lower half overflowed in between */
    high = MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 4);
    low = MTVM_REGISTER(32, BOARD_TIMER_ADDRESS);
  } while (high != MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 4));
  return (uint64_t)high << 32 | low;
#endif
}
