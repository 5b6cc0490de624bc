/* SPDX-License-Identifier: Apache-2.0 */
/* The platform functions of a chip without an operating system. */
#include <microtvm/app.h>
#include <microtvm/platform.h>
#include <string.h>

#include "port.h"

#define PAINT 0xa5u
#define FAULT_BYTES 128 /* of text */

/* Differs between resets: it survives them, and where the power was off it holds what RAM woke up with. */
static uint32_t entropy __attribute__((section(".noinit")));

int main(void);

/* Bytes that came, put in by the interrupt and taken out by the main loop. It holds a whole packet: a host
 * sends no more before it has an answer. */
static struct {
  volatile uint32_t in;
  volatile uint32_t out;
  volatile uint32_t lost;
  uint8_t bytes[BOARD_RING_BYTES];
} ring;

static uint64_t started;

static uint32_t after(uint32_t index) { return index + 1 == BOARD_RING_BYTES ? 0 : index + 1; }

void mtvm_ring_put(uint8_t byte) {
  const uint32_t in = ring.in;
  const uint32_t next = after(in);
  if (next == ring.out) {
    ring.lost++;
    return;
  }
  ring.bytes[in] = byte;
  ring.in = next;
}

/* The part of the stack that is still in use starts above this frame. */
static void paint_stack(void) {
  uint8_t *const here = __builtin_frame_address(0);
  for (volatile uint8_t *byte = mtvm_stack_bottom; byte < here - 128; byte++) {
    *byte = PAINT;
  }
}

size_t mtvm_platform_stack_size(void) { return (size_t)(mtvm_stack_top - mtvm_stack_bottom); }

size_t mtvm_platform_stack_used(void) {
  const uint8_t *byte = mtvm_stack_bottom;
  while (byte < mtvm_stack_top && *byte == PAINT) {
    byte++;
  }
  return (size_t)(mtvm_stack_top - byte);
}

void mtvm_port_start(void) {
  paint_stack();
  (void)main();
  for (;;) { /* a standalone firmware is done */
    mtvm_core_sleep();
  }
}

tvm_crt_error_t TVMPlatformInitialize(void) {
  mtvm_core_init();
  BOARD_SETUP(MTVM_CHANGE)
  mtvm_timer_init();
  mtvm_uart_init();
  mtvm_core_enable_interrupt(BOARD_UART_INTERRUPT);
  mtvm_core_unmask();
  return kTvmErrorNoError;
}

void TVMPlatformAbort(tvm_crt_error_t code) { mtvm_port_fault("the firmware stopped itself, error", code, 0); }

tvm_crt_error_t TVMPlatformTimerStart(void) {
  started = mtvm_timer_ticks();
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds) {
  *elapsed_seconds = (double)(mtvm_timer_ticks() - started) / (double)mtvm_timer_hz;
  return kTvmErrorNoError;
}

/* The timer at the moment of asking adds what the host's and the chip's clocks do not share. */
tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  for (size_t i = 0; i < n; i++) {
    entropy += (uint32_t)mtvm_timer_ticks() + 0x9e3779b9u;
    entropy ^= entropy << 13;
    entropy ^= entropy >> 17;
    entropy ^= entropy << 5;
    buffer[i] = (uint8_t)(entropy >> 11);
  }
  return kTvmErrorNoError;
}

size_t mtvm_platform_read(uint8_t *data, size_t capacity) {
  size_t n = 0;
  mtvm_core_mask(); /* a byte that comes between the look and the sleep must end the sleep */
  while (ring.in == ring.out) {
    mtvm_core_sleep();
    mtvm_core_unmask();
    mtvm_core_mask();
  }
  mtvm_core_unmask();
  while (n < capacity && ring.out != ring.in) {
    data[n++] = ring.bytes[ring.out];
    ring.out = after(ring.out);
  }
  return n;
}

bool mtvm_platform_write(const uint8_t *data, size_t n) {
  for (size_t i = 0; i < n; i++) {
    mtvm_uart_put(data[i]);
  }
  return true;
}

static char *append(char *to, const char *text) {
  while (*text != '\0') {
    *to++ = *text++;
  }
  return to;
}

static char *append_hex(char *to, uintptr_t number) {
  to = append(to, " 0x");
  for (unsigned shift = sizeof number * 8; shift > 0;) {
    shift -= 4;
    *to++ = "0123456789abcdef"[number >> shift & 15];
  }
  return to;
}

/* What it says costs the rest of the session, which is lost anyway. */
void mtvm_port_fault(const char *what, uintptr_t where, uintptr_t more) {
  char text[FAULT_BYTES];
  char *end = append(text, "fault: ");
  mtvm_core_mask();
  end = append(end, what);
  end = append_hex(end, where);
  end = append_hex(end, more);
  *end = '\0';
  mtvm_app_say(text);
  mtvm_core_restart();
}
