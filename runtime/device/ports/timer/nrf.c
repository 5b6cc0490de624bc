/* SPDX-License-Identifier: Apache-2.0 */
/* A TIMER of Nordic's nRF51 and nRF52 (nRF51 Series Reference Manual 3.0: TIMER): the Cortex-M0 of an nRF51
 * has no SysTick. At 8 MHz its 32 bits last 536 s, which an emulator may compute within seconds. An interrupt
 * counts the periods. The field `interrupt` of the board's timer is its number at the interrupt controller. */
#include "../baremetal/port.h"

#define START MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x000)
#define CAPTURE MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x040)
#define PERIOD_ENDED MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x144)
#define INTERRUPTS_ON MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x304)
#define MODE MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x504)
#define WIDTH MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x508)
#define PRESCALER MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x510)
#define CAPTURED MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x540)
#define PERIOD_END MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x544)

#define MODE_TIMER 0u
#define WIDTH_32 3u
#define HALF 1u
#define PERIOD_ENDED_INTERRUPT 0x20000u

uint32_t mtvm_timer_hz(void) { return 8000000; }

static uint32_t begin; /* the counter at the begin of each period */
static volatile uint32_t periods;

static uint32_t count(void) {
  CAPTURE = 1;
  return CAPTURED - begin;
}

void mtvm_timer_init(void) {
  MODE = MODE_TIMER;
  WIDTH = WIDTH_32;
  PRESCALER = HALF;
  START = 1;
  begin += count();
  PERIOD_END = begin;
  PERIOD_ENDED = 0;
  periods = 0;
  INTERRUPTS_ON = PERIOD_ENDED_INTERRUPT;
  mtvm_core_enable_interrupt(BOARD_TIMER_INTERRUPT);
}

void mtvm_timer_interrupt(void) {
  if (PERIOD_ENDED != 0) {
    PERIOD_ENDED = 0;
    periods++;
  }
}

/* Return the ticks since the start. Interrupts are masked, so that a finished period is either counted or
 * pending. */
uint64_t mtvm_timer_ticks(void) {
  uint32_t was_masked;
  __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(was_masked)::"memory");
  uint32_t ticks = count();
  uint32_t whole = periods;
  if (PERIOD_ENDED != 0) {
    ticks = count();
    whole++;
  }
  __asm volatile("msr primask, %0" ::"r"(was_masked) : "memory");
  return (uint64_t)whole << 32 | ticks;
}
