/* SPDX-License-Identifier: Apache-2.0 */
/* SysTick of a Cortex-M, counting cycles of the core: 24 bits, and an interrupt for the rest. DWT's cycle
 * counter would do without one, but Cortex-M0 and emulators do not have it. */
#include "../baremetal/port.h"

#define CONTROL MTVM_REGISTER(32, 0xe000e010u)
#define RELOAD MTVM_REGISTER(32, 0xe000e014u)
#define CURRENT MTVM_REGISTER(32, 0xe000e018u)

#define PERIOD 0x1000000u
#define CORE_CLOCK_INTERRUPT_ON 0x7u

const uint32_t mtvm_timer_hz = BOARD_CLOCK_HZ;

static volatile uint32_t periods;

void mtvm_timer_init(void) {
  RELOAD = PERIOD - 1;
  CURRENT = 0;
  CONTROL = CORE_CLOCK_INTERRUPT_ON;
}

void mtvm_timer_interrupt(void) { periods++; }

/* Again when the interrupt came in between. */
uint64_t mtvm_timer_ticks(void) {
  uint32_t before;
  uint32_t left;
  do {
    before = periods;
    left = CURRENT;
  } while (before != periods);
  return (uint64_t)before * PERIOD + (PERIOD - 1 - left);
}
