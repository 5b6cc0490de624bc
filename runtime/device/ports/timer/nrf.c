/* SPDX-License-Identifier: Apache-2.0 */
/* A TIMER of Nordic's nRF51 and nRF52 (nRF51 Series Reference Manual 3.0: TIMER): the Cortex-M0 of an nRF51
 * has no SysTick. At 8 MHz its 32 bits last 536 s. That exceeds the timeout of any host for one reply, so the
 * next reading detects a wrap without an interrupt. */
#include "../baremetal/port.h"

#define START MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x000)
#define CAPTURE MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x040)
#define MODE MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x504)
#define WIDTH MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x508)
#define PRESCALER MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x510)
#define CAPTURED MTVM_REGISTER(32, BOARD_TIMER_ADDRESS + 0x540)

#define MODE_TIMER 0u
#define WIDTH_32 3u
#define HALF 1u

uint32_t mtvm_timer_hz(void) { return 8000000; }

static uint32_t last;
static uint32_t wraps;

void mtvm_timer_init(void) {
  MODE = MODE_TIMER;
  WIDTH = WIDTH_32;
  PRESCALER = HALF;
  START = 1;
}

uint64_t mtvm_timer_ticks(void) {
  CAPTURE = 1;
  const uint32_t now = CAPTURED;
  if (now < last) {
    wraps++;
  }
  last = now;
  return (uint64_t)wraps << 32 | now;
}
