/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up code and output of the harness on an emulated board, through semihosting (Semihosting for AArch32 and
 * AArch64; RISC-V Semihosting). The firmware has no initialized data, and an emulator clears the RAM. */
#include <stddef.h>

#include "harness.h"

enum { WRITE0 = 0x04, EXIT = 0x18, EXIT_OF_APPLICATION = 0x20026, INTERNAL_ERROR = 0x20024 };

extern uint8_t mtvm_stack_top[]; /* link.ld */
int main(void);
__attribute__((noreturn, used)) void mtvm_core_start(void);
__attribute__((noreturn, used)) void mtvm_core_fault(void);

/* The function of the emulator with this number; `value` is a number or an address. */
static void call_emulator(uintptr_t function, uintptr_t value) {
#if defined(__arm__)
  register uintptr_t r0 __asm("r0") = function;
  register uintptr_t r1 __asm("r1") = value;
  __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
#else
  register uintptr_t a0 __asm("a0") = function;
  register uintptr_t a1 __asm("a1") = value;
  __asm volatile(
      ".option push\n\t"
      ".balign 16\n\t" /* all three on one page */
      ".option norvc\n\t"
      "slli x0, x0, 0x1f\n\t"
      "ebreak\n\t"
      "srai x0, x0, 7\n\t"
      ".option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
#endif
}

void put(const char *text) { call_emulator(WRITE0, (uintptr_t)text); }

static __attribute__((noreturn)) void leave(uintptr_t reason) {
  for (;;) {
    call_emulator(EXIT, reason);
  }
}

void mtvm_core_start(void) { leave(main() == 0 ? EXIT_OF_APPLICATION : INTERNAL_ERROR); }

void mtvm_core_fault(void) {
  put("FAILED: fault\n");
  leave(INTERNAL_ERROR);
}

#if defined(__arm__)
/* The floating-point unit also has the registers of MVE, which GCC uses for copies. */
__attribute__((naked, noreturn)) void mtvm_reset(void) {
  __asm volatile(
      "ldr r0, =mtvm_stack_top\n\t"
      "mov sp, r0\n\t"
      "ldr r0, =0xe000ed88\n\t" /* CPACR */
      "ldr r1, =0x00f00000\n\t"
      "str r1, [r0]\n\t"
      "dsb\n\t"
      "isb\n\t"
      "b mtvm_core_start\n\t");
}

/* clang-format off */
__attribute__((section(".vectors"), used)) static const union {
  void (*function)(void);
  uint8_t *stack;
} vectors[8] = {
    {.stack = mtvm_stack_top}, {mtvm_reset}, {mtvm_core_fault}, {mtvm_core_fault},
    {mtvm_core_fault}, {mtvm_core_fault}, {mtvm_core_fault}, {mtvm_core_fault},
};
/* clang-format on */
#else
__attribute__((naked, noreturn, section(".start"))) void mtvm_reset(void) {
  __asm volatile(
      ".option push\n\t"
      ".option norelax\n\t"
      "la gp, __global_pointer$\n\t"
      ".option pop\n\t"
      "la t0, mtvm_trap\n\t"
      "csrw mtvec, t0\n\t"
      "la sp, mtvm_stack_top\n\t"
      "j mtvm_core_start\n\t");
}

__attribute__((aligned(64), used)) static void trap(void) __asm("mtvm_trap");
static void trap(void) { mtvm_core_fault(); }
#endif
