/* SPDX-License-Identifier: Apache-2.0 */
/* The Enhanced Core-Local Interrupt Controller of Nuclei's RISC-V cores (Nuclei ISA Specification), as in the
 * GD32VF103. Interrupts without a vector use the same entry as all other traps. */
#include "../riscv/core.h"

#define CONFIG MTVM_REGISTER(8, BOARD_INTERRUPTS_ADDRESS)
#define THRESHOLD MTVM_REGISTER(8, BOARD_INTERRUPTS_ADDRESS + 0xbu)
#define ENABLE(interrupt) MTVM_REGISTER(8, BOARD_INTERRUPTS_ADDRESS + 0x1000u + (interrupt) * 4u + 1u)
#define ATTRIBUTES(interrupt) MTVM_REGISTER(8, BOARD_INTERRUPTS_ADDRESS + 0x1000u + (interrupt) * 4u + 2u)
#define LEVEL(interrupt) MTVM_REGISTER(8, BOARD_INTERRUPTS_ADDRESS + 0x1000u + (interrupt) * 4u + 3u)

#define CSR_MMISC_CTL 0x7d0
#define NMI_IS_A_TRAP 0x200
#define MTVEC_ECLIC 0x3

void mtvm_core_enable_interrupt(uint32_t interrupt) {
  MTVM_CSR_SET(CSR_MMISC_CTL, NMI_IS_A_TRAP);
  MTVM_CSR_SET(MTVM_CSR_MTVEC, MTVEC_ECLIC);
  CONFIG = 0;
  THRESHOLD = 0;
  ATTRIBUTES(interrupt) = 0; /* level-triggered, without a vector */
  LEVEL(interrupt) = 0xff;
  ENABLE(interrupt) = 1;
}

void mtvm_interrupts_handle(uintptr_t cause) {
  if (cause == BOARD_UART_INTERRUPT) {
    mtvm_uart_interrupt();
  }
}
