/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up code and core functions of a RISC-V in machine mode (The RISC-V Instruction Set Manual, volume II:
 * Privileged Architecture). */
#include "core.h"

#define MSTATUS_MIE 0x8
#define CSR_PMPCFG0 0x3a0
#define CSR_PMPADDR(entry) (0x3b0 + (entry))

#define CAUSE_ILLEGAL_INSTRUCTION 2u
#define CAUSE_CODE 0xfffu
#define INSTRUCTION_BYTES 4u /* length of an instruction that accesses a control and status register */

/* PMP entries, one byte each. A range extends from the address of the previous entry to its own address. A
 * lock also applies to machine mode, until the next reset. */
#define PMP_LOCKED_NOTHING 0x88u
#define PMP_LOCKED_READ_EXECUTE 0x8du
#define PMP_ADDRESS(address) ((uintptr_t)(address) >> 2)
#define GUARD_BYTES 4096 /* the largest stack frame that it detects; smaller than a page makes emulators slow */

#define TRAP_STACK_BYTES (64 * sizeof(uintptr_t)) /* a trap frame, and the stack of an interrupt handler */

#if __riscv_xlen == 64
#define STORE "sd "
#define LOAD "ld "
#define REGISTER "8"
#else
#define STORE "sw "
#define LOAD "lw "
#define REGISTER "4"
#endif

/* Defined in link.ld. */
extern uint8_t mtvm_flash_begin[];
extern uint8_t mtvm_flash_end[];

__attribute__((noreturn)) void mtvm_reset(void);

/* The stack of traps: the stack of the program may have overflowed. */
__attribute__((used, aligned(16))) static uint8_t trap_stack[TRAP_STACK_BYTES] __asm("mtvm_trap_stack");

static volatile bool probing; /* an illegal instruction is an expected result, not a fault */

/* Initialise the registers. A restart jumps here without a reset of the chip, so this code sets everything
 * that a reset sets. Some chips start at an alias of the flash, so the code jumps to its link address. The
 * linker must not use gp-relative addresses before gp is set. */
__attribute__((naked, noreturn, section(".start"))) void mtvm_reset(void) {
  __asm volatile(
      ".option push\n\t"
      ".option norelax\n\t"
#if __riscv_xlen == 32
      "lui t0, %%hi(1f)\n\t"
      "jr t0, %%lo(1f)\n"
      "1:\n\t"
#endif
      MTVM_CSR("csrwi %[mie], 0\n\t"
               "csrci %[mstatus], %[on]\n\t"
#if defined(__riscv_flen)
               "li t0, 0x6000\n\t" /* the floating point unit */
               "csrs %[mstatus], t0\n\t"
               "csrwi 0x003, 0\n\t" /* fcsr: round to nearest */
#endif
               "la t0, mtvm_trap\n\t"
               "csrw %[mtvec], t0\n\t"
               "la t0, mtvm_trap_stack + %[trap_stack]\n\t"
               "csrw %[mscratch], t0")
      "la gp, __global_pointer$\n\t"
      "la sp, mtvm_stack_top\n\t"
      "la tp, mtvm_tls_begin\n\t"
      ".option pop\n\t"
      "j mtvm_core_start\n\t" ::[mie] "i"(MTVM_CSR_MIE),
      [mstatus] "i"(MTVM_CSR_MSTATUS), [mtvec] "i"(MTVM_CSR_MTVEC), [mscratch] "i"(MTVM_CSR_MSCRATCH),
      [on] "i"(MSTATUS_MIE), [trap_stack] "i"(TRAP_STACK_BYTES));
}

__attribute__((noreturn, used)) static void start(void) __asm("mtvm_core_start");
static void start(void) {
  mtvm_port_fill_ram();
  mtvm_port_construct();
  mtvm_port_start();
}

/* Save the registers that a function may change, except floating point registers, which interrupt handlers do
 * not use. An ECLIC requires this alignment. */
__attribute__((naked, used, aligned(64))) static void trap(void) __asm("mtvm_trap");
static void trap(void) {
  /* One instruction per line. */
  /* clang-format off */
  __asm volatile(
      MTVM_CSR("csrrw sp, %[mscratch], sp")
      "addi sp, sp, -16 * " REGISTER "\n\t"
      STORE "ra, 0 * " REGISTER "(sp)\n\t"
      STORE "t0, 1 * " REGISTER "(sp)\n\t"
      STORE "t1, 2 * " REGISTER "(sp)\n\t"
      STORE "t2, 3 * " REGISTER "(sp)\n\t"
      STORE "a0, 4 * " REGISTER "(sp)\n\t"
      STORE "a1, 5 * " REGISTER "(sp)\n\t"
      STORE "a2, 6 * " REGISTER "(sp)\n\t"
      STORE "a3, 7 * " REGISTER "(sp)\n\t"
      STORE "a4, 8 * " REGISTER "(sp)\n\t"
      STORE "a5, 9 * " REGISTER "(sp)\n\t"
      STORE "a6, 10 * " REGISTER "(sp)\n\t"
      STORE "a7, 11 * " REGISTER "(sp)\n\t"
      STORE "t3, 12 * " REGISTER "(sp)\n\t"
      STORE "t4, 13 * " REGISTER "(sp)\n\t"
      STORE "t5, 14 * " REGISTER "(sp)\n\t"
      STORE "t6, 15 * " REGISTER "(sp)\n\t"
      MTVM_CSR("csrr a0, %[mcause]")
      "call mtvm_core_trap\n\t"
      LOAD "ra, 0 * " REGISTER "(sp)\n\t"
      LOAD "t0, 1 * " REGISTER "(sp)\n\t"
      LOAD "t1, 2 * " REGISTER "(sp)\n\t"
      LOAD "t2, 3 * " REGISTER "(sp)\n\t"
      LOAD "a0, 4 * " REGISTER "(sp)\n\t"
      LOAD "a1, 5 * " REGISTER "(sp)\n\t"
      LOAD "a2, 6 * " REGISTER "(sp)\n\t"
      LOAD "a3, 7 * " REGISTER "(sp)\n\t"
      LOAD "a4, 8 * " REGISTER "(sp)\n\t"
      LOAD "a5, 9 * " REGISTER "(sp)\n\t"
      LOAD "a6, 10 * " REGISTER "(sp)\n\t"
      LOAD "a7, 11 * " REGISTER "(sp)\n\t"
      LOAD "t3, 12 * " REGISTER "(sp)\n\t"
      LOAD "t4, 13 * " REGISTER "(sp)\n\t"
      LOAD "t5, 14 * " REGISTER "(sp)\n\t"
      LOAD "t6, 15 * " REGISTER "(sp)\n\t"
      "addi sp, sp, 16 * " REGISTER "\n\t"
      MTVM_CSR("csrrw sp, %[mscratch], sp")
      "mret\n\t" ::[mscratch] "i"(MTVM_CSR_MSCRATCH),
      [mcause] "i"(0x342));
  /* clang-format on */
}

/* Reset both stacks and report the fault. The program does not continue, so the report may use its whole
 * stack. */
__attribute__((naked, noreturn)) static void fault(uintptr_t cause, uintptr_t stack) {
  (void)cause;
  (void)stack;
  __asm volatile(
      "la t0, mtvm_trap_stack + %[trap_stack]\n\t"
      MTVM_CSR("csrw %[mscratch], t0")
      "la sp, mtvm_stack_top\n\t"
      "j mtvm_core_fault\n\t" ::[mscratch] "i"(MTVM_CSR_MSCRATCH),
      [trap_stack] "i"(TRAP_STACK_BYTES));
}

__attribute__((used)) static void handle_trap(uintptr_t cause) __asm("mtvm_core_trap");
static void handle_trap(uintptr_t cause) {
  if ((intptr_t)cause < 0) {
    mtvm_interrupts_handle(cause & CAUSE_CODE);
  } else if (probing && (cause & CAUSE_CODE) == CAUSE_ILLEGAL_INSTRUCTION) {
    MTVM_CSR_WRITE(MTVM_CSR_MEPC, MTVM_CSR_READ(MTVM_CSR_MEPC) + INSTRUCTION_BYTES);
  } else {
    fault(cause & CAUSE_CODE, MTVM_CSR_READ(MTVM_CSR_MSCRATCH));
  }
}

__attribute__((noreturn, used)) static void report(uintptr_t cause, uintptr_t stack) __asm("mtvm_core_fault");
static void report(uintptr_t cause, uintptr_t stack) {
  static const char *const names[] = {
      "misaligned instruction at", "no instructions at", "illegal instruction at", "breakpoint at",
      "misaligned load at",        "load fault at",      "misaligned store at",    "store fault at",
  };
  const uintptr_t where = MTVM_CSR_READ(MTVM_CSR_MEPC);
  if (stack < (uintptr_t)mtvm_stack_bottom) {
    mtvm_port_fault("the stack overflowed at", where, stack);
  }
  if (cause >= sizeof names / sizeof names[0]) {
    mtvm_port_fault("unexpected trap at", where, cause);
  }
  mtvm_port_fault(names[cause], where, MTVM_CSR_READ(MTVM_CSR_MTVAL));
}

/* Deny access to the memory below the stack, and writes to code. The stack is at the bottom of RAM, so an
 * overflow causes a fault. A core without physical memory protection rejects the instructions; the trap
 * handler skips them. */
static void protect_memory(void) {
  probing = true;
  MTVM_CSR_WRITE(CSR_PMPADDR(0), PMP_ADDRESS((uintptr_t)mtvm_stack_bottom - GUARD_BYTES));
  MTVM_CSR_WRITE(CSR_PMPADDR(1), PMP_ADDRESS(mtvm_stack_bottom));
  MTVM_CSR_WRITE(CSR_PMPADDR(2), PMP_ADDRESS(mtvm_flash_begin));
  MTVM_CSR_WRITE(CSR_PMPADDR(3), PMP_ADDRESS(mtvm_flash_end));
  MTVM_CSR_WRITE(CSR_PMPCFG0, PMP_LOCKED_READ_EXECUTE << 24 | PMP_LOCKED_NOTHING << 8);
  probing = false;
}

void mtvm_core_init(void) { protect_memory(); }

void mtvm_core_mask(void) { MTVM_CSR_CLEAR(MTVM_CSR_MSTATUS, MSTATUS_MIE); }

void mtvm_core_unmask(void) { MTVM_CSR_SET(MTVM_CSR_MSTATUS, MSTATUS_MIE); }

void mtvm_core_sleep(void) { __asm volatile("wfi" ::: "memory"); }

void mtvm_core_restart(void) {
  mtvm_core_mask();
#if defined(BOARD_RESTART)
  BOARD_RESTART(MTVM_CHANGE)
  for (;;) { /* wait for the watchdog */
  }
#else
  mtvm_reset();
#endif
}
