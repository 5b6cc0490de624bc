/* SPDX-License-Identifier: Apache-2.0 */
/* A Cortex-M from its reset to main, and what its core does for the port (Armv6-M, Armv7-M and Armv8-M
 * Architecture Reference Manuals). */
#include "../baremetal/port.h"

#define VTOR MTVM_REGISTER(32, 0xe000ed08u)
#define AIRCR MTVM_REGISTER(32, 0xe000ed0cu)
#define CCR MTVM_REGISTER(32, 0xe000ed14u)
#define SHCSR MTVM_REGISTER(32, 0xe000ed24u)
#define CPACR MTVM_REGISTER(32, 0xe000ed88u)
#define CCSIDR MTVM_REGISTER(32, 0xe000ed80u)
#define CSSELR MTVM_REGISTER(32, 0xe000ed84u)
#define ICIALLU MTVM_REGISTER(32, 0xe000ef50u)
#define DCISW MTVM_REGISTER(32, 0xe000ef60u)
#define NVIC_ENABLE(interrupt) MTVM_REGISTER(32, 0xe000e100u + (interrupt) / 32 * 4)

#define AIRCR_RESET 0x05fa0004u
#define FPU_ON 0x00f00000u
#define FAULTS_ON 0x00070000u
#define ICACHE_ON 0x00020000u
#define DCACHE_ON 0x00010000u

extern uint32_t mtvm_data_load[];
extern uint32_t mtvm_data_begin[];
extern uint32_t mtvm_data_end[];
extern uint32_t mtvm_bss_begin[];
extern uint32_t mtvm_bss_end[];
extern void (*const mtvm_init_begin[])(void);
extern void (*const mtvm_init_end[])(void);

static void barrier(void) { __asm volatile("dsb\n\tisb" ::: "memory"); }

__attribute__((noreturn)) void mtvm_reset(void);
__attribute__((noreturn)) void mtvm_core_fault(uint32_t exception, const uint32_t *frame);

/* Reset leaves the stack pointer right; an emulator or a boot loader that jumps here may not. */
__attribute__((naked, noreturn)) void mtvm_reset(void) {
  __asm volatile(
      "cpsid i\n\t"
      "ldr r0, =mtvm_stack_top\n\t"
      "mov sp, r0\n\t"
      "bl mtvm_core_start\n\t");
}

__attribute__((noreturn, used)) static void start(void) __asm("mtvm_core_start");
static void start(void) {
  const uint32_t *from = mtvm_data_load;
#if defined(__ARM_FP)
  CPACR |= FPU_ON;
  barrier();
#endif
  for (uint32_t *to = mtvm_data_begin; to < mtvm_data_end; to++) {
    *to = *from++;
  }
  for (uint32_t *to = mtvm_bss_begin; to < mtvm_bss_end; to++) {
    *to = 0;
  }
  for (void (*const *function)(void) = mtvm_init_begin; function < mtvm_init_end; function++) {
    (*function)();
  }
  mtvm_port_start();
}

/* The stack may be what is broken, so its lowest part, which is not in use otherwise, takes over. */
__attribute__((naked)) static void fault(void) {
  __asm volatile(
      "mrs r0, ipsr\n\t"
      "mov r1, sp\n\t"
      "ldr r2, =mtvm_stack_bottom + 1024\n\t"
      "mov sp, r2\n\t"
      "bl mtvm_core_fault\n\t");
}

void mtvm_core_fault(uint32_t exception, const uint32_t *frame) {
  static const char *const names[] = {"hard fault at", "memory fault at", "bus fault at", "usage fault at"};
  const char *what = exception >= 3 && exception <= 6 ? names[exception - 3] : "unexpected interrupt at";
  const uintptr_t place = (uintptr_t)frame;
  if (place < (uintptr_t)mtvm_stack_bottom || place > (uintptr_t)mtvm_stack_top - 32) {
    mtvm_port_fault("the stack overflowed, to", place, exception);
  }
  mtvm_port_fault(what, frame[6], frame[5]);
}

typedef void (*vector_t)(void);
__attribute__((section(".vectors"), used)) static const union {
  vector_t function;
  uint8_t *stack;
} vectors[16 + BOARD_UART_INTERRUPT + 1] = {
    [0] = {.stack = mtvm_stack_top},      [1] = {mtvm_reset}, [2] = {fault}, [3] = {fault}, [4] = {fault},
    [5] = {fault},                        [6] = {fault},      [7] = {fault}, [11] = {fault}, [12] = {fault},
    [14] = {fault},                       [15] = {mtvm_timer_interrupt},
    [16 + BOARD_UART_INTERRUPT] = {mtvm_uart_interrupt},
};

/* Weak: a timer without an interrupt brings none. */
__attribute__((weak)) void mtvm_timer_interrupt(void) {}

#if __ARM_ARCH >= 7 && defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 2
/* Whoever has no cache reads zeros here. */
static void enable_caches(void) {
  uint32_t shape;
  ICIALLU = 0;
  CSSELR = 0;
  barrier();
  shape = CCSIDR;
  if (shape != 0) {
    const uint32_t ways = shape >> 3 & 0x3ffu;
    const uint32_t sets = shape >> 13 & 0x7fffu;
    const uint32_t way_shift = ways == 0 ? 0 : (uint32_t)__builtin_clz(ways);
    for (uint32_t set = 0; set <= sets; set++) {
      for (uint32_t way = 0; way <= ways; way++) {
        DCISW = way << way_shift | set << ((shape & 7u) + 4);
      }
    }
    barrier();
    CCR |= DCACHE_ON | ICACHE_ON;
    barrier();
  }
}
#endif

void mtvm_core_init(void) {
  VTOR = (uint32_t)(uintptr_t)vectors;
  SHCSR |= FAULTS_ON;
#if __ARM_ARCH >= 7 && defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 2
  enable_caches();
#endif
}

void mtvm_core_enable_interrupt(uint32_t interrupt) { NVIC_ENABLE(interrupt) = 1u << interrupt % 32; }

void mtvm_core_mask(void) { __asm volatile("cpsid i" ::: "memory"); }

void mtvm_core_unmask(void) { __asm volatile("cpsie i\n\tisb" ::: "memory"); }

void mtvm_core_sleep(void) { __asm volatile("dsb\n\twfi" ::: "memory"); }

void mtvm_core_restart(void) {
  barrier();
  AIRCR = AIRCR_RESET;
  barrier();
  for (;;) {
  }
}
