/* SPDX-License-Identifier: Apache-2.0 */
/* The Platform-Level Interrupt Controller of RISC-V cores (RISC-V PLIC Specification). The board's entry
 * gives its address and the context of machine mode of the first core. */
#include "../riscv/core.h"

#define PRIORITY(interrupt) MTVM_REGISTER(32, BOARD_INTERRUPTS_ADDRESS + (interrupt) * 4u)
#define ENABLE(interrupt) \
  MTVM_REGISTER(32, BOARD_INTERRUPTS_ADDRESS + 0x2000u + BOARD_INTERRUPTS_CONTEXT * 0x80u + (interrupt) / 32u * 4u)
#define CONTEXT (BOARD_INTERRUPTS_ADDRESS + 0x200000u + BOARD_INTERRUPTS_CONTEXT * 0x1000u)
#define THRESHOLD MTVM_REGISTER(32, CONTEXT)
#define CLAIM MTVM_REGISTER(32, CONTEXT + 4u)

#define EXTERNAL 11 /* the bit in mie and the cause, shared by all interrupts of the PLIC */

void mtvm_core_enable_interrupt(uint32_t interrupt) {
  PRIORITY(interrupt) = 1;
  THRESHOLD = 0;
  ENABLE(interrupt) |= 1u << interrupt % 32u;
  CLAIM = interrupt; /* a restart may have happened during an interrupt */
  MTVM_CSR_SET(MTVM_CSR_MIE, 1u << EXTERNAL);
}

void mtvm_interrupts_handle(uintptr_t cause) {
  const uint32_t interrupt = CLAIM;
  (void)cause;
  if (interrupt == BOARD_UART_INTERRUPT) {
    mtvm_uart_interrupt();
  }
  CLAIM = interrupt; /* complete */
}
