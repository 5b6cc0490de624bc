/* SPDX-License-Identifier: Apache-2.0 */
/* The platform functions of a chip without an operating system. */
#include <microtvm/app.h>
#include <microtvm/platform.h>
#include <string.h>

#include "port.h"

#define PAINT 0xa5u
#define FRAME_BYTES 128 /* stack in use below the frame of a function that makes no calls */
#define FAULT_BYTES 128 /* including the NUL */
#define LONGEST_FIFO 32 /* bytes that the FIFO of a UART may hold */
#define LAST_TURNS (BOARD_CLOCK_HZ / 16u)

/* The state of the random bytes. A reset keeps it. After a loss of power it also depends on the contents of
 * RAM, which paint_stack mixes in. */
static uint32_t entropy __attribute__((section(".noinit")));

static bool ready;

int main(void);

/* Received bytes: the interrupt writes, the main loop reads. The buffer holds a whole packet, because a host
 * waits for a reply before it sends the next packet. */
static struct {
  volatile uint32_t in;
  volatile uint32_t out;
  volatile uint8_t bytes[BOARD_RING_BYTES]; /* volatile, so that each byte is accessed before its index changes */
} ring;

static uint64_t started;

static uint32_t after(uint32_t index) { return index + 1 == BOARD_RING_BYTES ? 0 : index + 1; }

/* Store a received byte. Bytes that do not fit are lost, and the packet's CRC detects the loss. */
void mtvm_ring_put(uint8_t byte) {
  const uint32_t in = ring.in;
  const uint32_t next = after(in);
  if (next != ring.out) {
    ring.bytes[in] = byte;
    ring.in = next;
  }
}

static void stir(uint32_t word) {
  entropy += word + 0x9e3779b9u;
  entropy ^= entropy << 13;
  entropy ^= entropy >> 17;
  entropy ^= entropy << 5;
}

/* Mix the contents of the unused stack into the entropy, then paint the unused stack. Caches must be off, so
 * that the entropy reaches RAM. */
static void paint_stack(void) {
  volatile uint32_t *const end = (volatile uint32_t *)((uintptr_t)__builtin_frame_address(0) - FRAME_BYTES);
  for (volatile uint32_t *word = (volatile uint32_t *)(void *)mtvm_stack_bottom; word < end; word++) {
    stir(*word);
    *word = PAINT * 0x01010101u;
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
  for (;;) { /* standalone firmware has finished */
    mtvm_core_sleep();
  }
}

tvm_crt_error_t TVMPlatformInitialize(void) {
  mtvm_core_init();
  BOARD_SETUP(MTVM_CHANGE)
  mtvm_uart_init();
  mtvm_timer_init(); /* after the UART: QEMU delivers earlier bytes when a timer starts */
  mtvm_core_enable_interrupt(BOARD_UART_INTERRUPT);
  ready = true;
  mtvm_core_unmask();
  return kTvmErrorNoError;
}

void TVMPlatformAbort(tvm_crt_error_t code) {
  mtvm_port_fault("the firmware stopped itself; error, caller:", code, (uintptr_t)__builtin_return_address(0));
}

tvm_crt_error_t TVMPlatformTimerStart(void) {
  mtvm_timer_init();
  started = mtvm_timer_ticks();
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformTimerStop(double *elapsed_seconds) {
  *elapsed_seconds = (double)(mtvm_timer_ticks() - started) / (double)mtvm_timer_hz();
  return kTvmErrorNoError;
}

/* Mix in the timer at the time of the request: it varies because the clocks of host and chip are
 * independent. */
tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  for (size_t i = 0; i < n; i++) {
    stir((uint32_t)mtvm_timer_ticks());
    buffer[i] = (uint8_t)(entropy >> 11);
  }
  return kTvmErrorNoError;
}

size_t mtvm_platform_read(uint8_t *data, size_t capacity) {
  size_t n = 0;
  mtvm_core_mask(); /* a byte that arrives between this check and the sleep must end the sleep */
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

static char *append(char *to, const char *end, const char *text) {
  while (*text != '\0' && to < end) {
    *to++ = *text++;
  }
  return to;
}

static char *append_hex(char *to, uintptr_t number) {
  *to++ = ' ';
  *to++ = '0';
  *to++ = 'x';
  for (unsigned shift = sizeof number * 8; shift > 0;) {
    shift -= 4;
    *to++ = "0123456789abcdef"[number >> shift & 15];
  }
  return to;
}

/* Wait until the UART has sent its last bytes. The number of turns is limited, because the faulty program may
 * have stopped the timer. One turn takes more than 16 cycles, so LAST_TURNS turns take more than a second on
 * most chips. */
static void drain_uart(void) {
  const uint32_t ticks = mtvm_timer_hz() / (BOARD_UART_BAUD / (LONGEST_FIFO * 10) + 1);
  const uint64_t begun = mtvm_timer_ticks();
  for (uint32_t turns = 0; turns < LAST_TURNS && mtvm_timer_ticks() - begun < ticks; turns++) {
  }
}

/* Send the report. Its bytes may corrupt the current packet, but the session is lost in any case. A fault
 * inside the report is not reported. */
void mtvm_port_fault(const char *what, uintptr_t where, uintptr_t more) {
  static bool reporting;
  char text[FAULT_BYTES];
  char *end = text + sizeof text - 2 * (sizeof " 0x" + 2 * sizeof where);
  mtvm_core_mask();
  if (!reporting) {
    reporting = true;
    if (!ready) {
      (void)TVMPlatformInitialize();
      mtvm_core_mask();
    }
    end = append(append(text, end, "fault: "), end, what);
    end = append_hex(end, where);
    end = append_hex(end, more);
    *end = '\0';
    mtvm_app_say(text);
    drain_uart();
  }
  mtvm_core_restart();
}
