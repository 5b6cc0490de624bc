/* SPDX-License-Identifier: Apache-2.0 */
/* SysTick of a Cortex-M. It counts cycles of the core in 24 bits; an interrupt counts the periods. The cycle
 * counter of DWT would need no interrupt, but Cortex-M0 and emulators do not have it.
 *
 * QEMU runs SysTick of an STM32 at one fixed clock (SYSCLK_FRQ in hw/arm), whatever the firmware sets. The field
 * `emulated_hz` of the board's timer is this clock. In the calibration register QEMU reports 10 ms of an eighth
 * of this clock: 30,000 ticks or more. An STM32 has a smaller constant (RM0041: 9,000, RM0090: 18,750). */
#include "../baremetal/port.h"

#define CONTROL MTVM_REGISTER(32, 0xe000e010u)
#define RELOAD MTVM_REGISTER(32, 0xe000e014u)
#define CURRENT MTVM_REGISTER(32, 0xe000e018u)
#define CALIBRATION MTVM_REGISTER(32, 0xe000e01cu)
#define ICSR MTVM_REGISTER(32, 0xe000ed04u)

#define PERIOD 0x1000000u
#define CORE_CLOCK_INTERRUPT_ON 0x7u
#define ON 0x1u
#define TEN_MS 0xffffffu
#define ICSR_SYSTICK_PENDING 0x4000000u

#if defined(BOARD_TIMER_EMULATED_HZ)
uint32_t mtvm_timer_hz(void) {
  const uint32_t ticks_of_10_ms = (CALIBRATION & TEN_MS) + 1;
  return ticks_of_10_ms == BOARD_TIMER_EMULATED_HZ / 8 / 100 ? BOARD_TIMER_EMULATED_HZ : BOARD_CLOCK_HZ;
}
#else
uint32_t mtvm_timer_hz(void) { return BOARD_CLOCK_HZ; }
#endif

static volatile uint32_t periods;

void mtvm_timer_init(void) {
  RELOAD = PERIOD - 1;
  CURRENT = 0;
  CONTROL = CORE_CLOCK_INTERRUPT_ON;
}

void mtvm_timer_interrupt(void) { periods++; }

/* Return the cycles left in the period. The counter is 0 for one cycle on a chip, and in an emulator until
 * its interrupt is handled. It stays 0 when user code has stopped the timer. */
static uint32_t left(void) {
  uint32_t now;
  do {
    now = CURRENT;
  } while (now == 0 && (CONTROL & ON) != 0);
  return now;
}

/* Return the cycles since the start. Interrupts are masked, so that a finished period is either counted or
 * pending. */
uint64_t mtvm_timer_ticks(void) {
  uint32_t was_masked;
  __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(was_masked)::"memory");
  uint32_t cycles = left();
  uint32_t whole = periods;
  if ((ICSR & ICSR_SYSTICK_PENDING) != 0) {
    cycles = left();
    whole++;
  }
  __asm volatile("msr primask, %0" ::"r"(was_masked) : "memory");
  return (uint64_t)whole * PERIOD + (PERIOD - cycles);
}
