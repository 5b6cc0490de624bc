/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up code and core functions of a Cortex-M (Armv6-M, Armv7-M and Armv8-M Architecture Reference
 * Manuals). */
#include "../baremetal/port.h"

#define VTOR MTVM_REGISTER(32, 0xe000ed08u)
#define AIRCR MTVM_REGISTER(32, 0xe000ed0cu)
#define CCR MTVM_REGISTER(32, 0xe000ed14u)
#define SHCSR MTVM_REGISTER(32, 0xe000ed24u)
#define CFSR MTVM_REGISTER(32, 0xe000ed28u)
#define MMFAR MTVM_REGISTER(32, 0xe000ed34u)
#define BFAR MTVM_REGISTER(32, 0xe000ed38u)
#define CPACR MTVM_REGISTER(32, 0xe000ed88u)
#define CCSIDR MTVM_REGISTER(32, 0xe000ed80u)
#define CSSELR MTVM_REGISTER(32, 0xe000ed84u)
#define ICIALLU MTVM_REGISTER(32, 0xe000ef50u)
#define DCISW MTVM_REGISTER(32, 0xe000ef60u)
#define MPU_TYPE MTVM_REGISTER(32, 0xe000ed90u)
#define MPU_CTRL MTVM_REGISTER(32, 0xe000ed94u)
#define MPU_RNR MTVM_REGISTER(32, 0xe000ed98u)
#define MPU_RBAR MTVM_REGISTER(32, 0xe000ed9cu)
#define MPU_RASR MTVM_REGISTER(32, 0xe000eda0u)
#define NVIC_ENABLE(interrupt) MTVM_REGISTER(32, 0xe000e100u + (interrupt) / 32 * 4)

#define AIRCR_RESET 0x05fa0004u
#define FPU_ON 0x00f00000u
#define FAULTS_ON 0x000f0000u /* memory, bus, usage, and secure if the core has it */
#define MMFAR_VALID 0x80u
#define BFAR_VALID 0x8000u
#define STACK_LIMIT 0x100000u
#define MPU_ON 0x5u /* memory outside of all regions keeps its default rights */
#define MPU_READ_ONLY_128 0x1602000du /* 128 bytes, not executable, write-through */
#define ICACHE_ON 0x00020000u
#define DCACHE_ON 0x00010000u

#define GUARD_BYTES 128 /* at the bottom of the stack; writing there faults */

/* True except for Cortex-M0, M0+ and M23: the core has several kinds of faults, and may have caches. */
#define MAINLINE (__ARM_ARCH_ISA_THUMB == 2)

static void barrier(void) { __asm volatile("dsb\n\tisb" ::: "memory"); }

__attribute__((noreturn)) void mtvm_reset(void);
__attribute__((noreturn)) void mtvm_core_fault(uint32_t exception, const uint32_t *frame);

/* Set the stack pointer. A reset sets it, too, but an emulator or a boot loader that jumps here may not. */
__attribute__((naked, noreturn)) void mtvm_reset(void) {
  __asm volatile(
      "cpsid i\n\t"
      "ldr r0, =mtvm_stack_top\n\t"
      "mov sp, r0\n\t"
      "bl mtvm_core_start\n\t");
}

__attribute__((noreturn, used)) static void start(void) __asm("mtvm_core_start");
static void start(void) {
#if MAINLINE && __ARM_ARCH >= 8
  __asm volatile("msr msplim, %0" ::"r"(mtvm_stack_bottom + GUARD_BYTES));
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  CPACR |= FPU_ON;
  barrier();
#endif
  mtvm_port_fill_ram();
#if MAINLINE
  SHCSR |= FAULTS_ON;
#endif
  mtvm_port_construct();
  mtvm_port_start();
}

/* Report the fault on the lowest 1024 bytes of the stack, because the stack pointer may have left the
 * stack. */
__attribute__((naked)) static void fault(void) {
  __asm volatile(
      "mrs r0, ipsr\n\t"
      "mov r1, sp\n\t"
      "ldr r2, =mtvm_stack_bottom + 1024\n\t"
      "mov sp, r2\n\t"
      "bl mtvm_core_fault\n\t");
}

void mtvm_core_fault(uint32_t exception, const uint32_t *frame) {
  static const char *const whats[] = {
      "hard fault; code, caller:", "memory fault; code, caller:", "bus fault; code, caller:",
      "invalid instruction; code, caller:", "secure fault; code, caller:"};
  const uintptr_t place = (uintptr_t)frame;
  const uintptr_t end = (uintptr_t)mtvm_stack_bottom + GUARD_BYTES;
  const uint32_t cause = MAINLINE ? CFSR : 0;
  const uint32_t address = (cause & BFAR_VALID) != 0 ? BFAR : (cause & MMFAR_VALID) != 0 ? MMFAR : 0;
#if MAINLINE
  MPU_CTRL = 0;
#endif
  if (place < end || place > (uintptr_t)mtvm_stack_top - 32 || (cause & STACK_LIMIT) != 0 ||
      address - (uintptr_t)mtvm_stack_bottom < GUARD_BYTES) {
    mtvm_port_fault("the stack overflowed; stack pointer, stack end:", place, end);
  }
  if (address != 0) {
    mtvm_port_fault("invalid address; code, address:", frame[6], address);
  }
  if (exception == 3 && cause != 0) { /* masked interrupts turn every fault into a hard fault */
    exception = (cause >> 16) != 0 ? 6 : (cause >> 8) != 0 ? 5 : 4;
  }
  if (exception - 3 >= sizeof whats / sizeof whats[0]) {
    mtvm_port_fault("unexpected interrupt; code, caller:", frame[6], frame[5]);
  }
  mtvm_port_fault(whats[exception - 3], frame[6], frame[5]);
}

#if defined(BOARD_TIMER_INTERRUPT) && BOARD_TIMER_INTERRUPT > BOARD_UART_INTERRUPT
#define LAST_INTERRUPT BOARD_TIMER_INTERRUPT
#else
#define LAST_INTERRUPT BOARD_UART_INTERRUPT
#endif

typedef void (*vector_t)(void);
/* clang-format off */
__attribute__((section(".vectors"), used)) static const union {
  vector_t function;
  uint8_t *stack;
} vectors[16 + LAST_INTERRUPT + 1] = {
    [0] = {.stack = mtvm_stack_top},      [1] = {mtvm_reset}, [2] = {fault}, [3] = {fault}, [4] = {fault},
    [5] = {fault},                        [6] = {fault},      [7] = {fault}, [11] = {fault}, [12] = {fault},
    [14] = {fault},                       [15] = {mtvm_timer_interrupt},
    [16 + BOARD_UART_INTERRUPT] = {mtvm_uart_interrupt},
#if defined(BOARD_TIMER_INTERRUPT)
    [16 + BOARD_TIMER_INTERRUPT] = {mtvm_timer_interrupt},
#endif
};
/* clang-format on */

/* Weak: a timer without an interrupt does not define it. */
__attribute__((weak)) void mtvm_timer_interrupt(void) {}

#if MAINLINE
/* Make the bottom of the stack read-only. Armv8-M uses its stack limit instead. On most chips no memory is
 * below RAM, but on some chips and in some emulators there is. */
static void guard_stack(void) {
#if __ARM_ARCH == 7
  if ((MPU_TYPE >> 8 & 0xffu) != 0) {
    MPU_RNR = 0;
    MPU_RBAR = (uint32_t)(uintptr_t)mtvm_stack_bottom;
    MPU_RASR = MPU_READ_ONLY_128;
    MPU_CTRL = MPU_ON;
    barrier();
  }
#endif
}

/* Invalidate and enable the caches. A core without caches reads zeros here. A cache that is already on may
 * hold data that RAM does not, so it is left unchanged. */
static void enable_caches(void) {
  ICIALLU = 0;
  CSSELR = 0;
  barrier();
  const uint32_t shape = CCSIDR;
  if (shape != 0 && (CCR & DCACHE_ON) == 0) {
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
#if MAINLINE
  guard_stack();
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
