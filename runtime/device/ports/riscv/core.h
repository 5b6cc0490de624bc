/* SPDX-License-Identifier: Apache-2.0 */
/* Control and status registers (The RISC-V Instruction Set Manual, volume II), and the interrupt controller
 * of the board. The parts of a RISC-V port share them, in addition to ports/baremetal/port.h. */
#ifndef MTVM_RISCV_CORE_H
#define MTVM_RISCV_CORE_H

#include "../baremetal/port.h"

/* Access registers by their number: some assemblers do not support all names. The extension Zicsr is enabled
 * here, because compilers select their C library by an -march without it. */
#define MTVM_CSR(words) ".option push\n\t.option arch, +zicsr\n\t" words "\n\t.option pop\n\t"

#define MTVM_CSR_MSTATUS 0x300
#define MTVM_CSR_MIE 0x304
#define MTVM_CSR_MTVEC 0x305
#define MTVM_CSR_MEPC 0x341
#define MTVM_CSR_MTVAL 0x343
#define MTVM_CSR_MSCRATCH 0x340

#define MTVM_CSR_READ(number)                                                        \
  __extension__({                                                                    \
    uintptr_t value_;                                                                \
    __asm volatile(MTVM_CSR("csrr %0, %1") : "=r"(value_) : "i"(number) : "memory"); \
    value_;                                                                          \
  })
#define MTVM_CSR_WRITE(number, value) \
  __asm volatile(MTVM_CSR("csrw %0, %1")::"i"(number), "rK"((uintptr_t)(value)) : "memory")
#define MTVM_CSR_SET(number, bits) \
  __asm volatile(MTVM_CSR("csrs %0, %1")::"i"(number), "rK"((uintptr_t)(bits)) : "memory")
#define MTVM_CSR_CLEAR(number, bits) \
  __asm volatile(MTVM_CSR("csrc %0, %1")::"i"(number), "rK"((uintptr_t)(bits)) : "memory")

/* Handle an interrupt. Implemented in ports/interrupts. `cause` is mcause without its highest bit. */
void mtvm_interrupts_handle(uintptr_t cause);

#endif
