/* SPDX-License-Identifier: Apache-2.0 */
/* mcycle, the counter of a RISC-V's clock cycles. Emulators count something else. The field `inhibit` of the
 * board's timer is the CSR number of mcountinhibit. It is needed when a boot loader may have stopped the
 * counter. */
#include "../riscv/core.h"

#define CSR_MCYCLE 0xb00
#define CSR_MCYCLEH 0xb80

uint32_t mtvm_timer_hz(void) { return BOARD_CLOCK_HZ; }

void mtvm_timer_init(void) {
#if defined(BOARD_TIMER_INHIBIT)
  MTVM_CSR_CLEAR(BOARD_TIMER_INHIBIT, 1);
#endif
}

uint64_t mtvm_timer_ticks(void) {
#if __riscv_xlen == 64
  return MTVM_CSR_READ(CSR_MCYCLE);
#else
  uint32_t high;
  uint32_t low;
  do { /* repeat when the lower half has overflowed */
    high = MTVM_CSR_READ(CSR_MCYCLEH);
    low = MTVM_CSR_READ(CSR_MCYCLE);
  } while (high != MTVM_CSR_READ(CSR_MCYCLEH));
  return (uint64_t)high << 32 | low;
#endif
}
