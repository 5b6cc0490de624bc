/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a port without an operating system ask of each other. Three of them are chosen by the
 * board: the core (ports/cortex_m, ports/riscv), the UART (ports/uart) and the timer (ports/timer). What they
 * must know of the board is in the generated board.h. */
#ifndef MTVM_PORT_H
#define MTVM_PORT_H

#include <board.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers, by their address. */
#define MTVM_REGISTER(bits, address) (*(volatile uint##bits##_t *)(uintptr_t)(address))

#define MTVM_CHANGE(address, clear, set, bits) \
  MTVM_REGISTER(bits, address) =               \
      (uint##bits##_t)((MTVM_REGISTER(bits, address) & ~(uint##bits##_t)(clear)) | (uint##bits##_t)(set));

/* From link.ld and memory.ld. */
extern uint8_t mtvm_stack_bottom[];
extern uint8_t mtvm_stack_top[];

/* The core. Its start-up code calls the three functions of ports/baremetal below, in their order. */
void mtvm_core_init(void);                            /* caches and whatever main expects on */
void mtvm_core_enable_interrupt(uint32_t interrupt);  /* at its controller */
void mtvm_core_mask(void);                            /* no interrupt is taken */
void mtvm_core_unmask(void);
void mtvm_core_sleep(void);                           /* until an interrupt is pending, even a masked one */
__attribute__((noreturn)) void mtvm_core_restart(void);

/* The UART: its interrupt hands each byte that came to mtvm_ring_put. */
void mtvm_uart_init(void);
void mtvm_uart_interrupt(void);
void mtvm_uart_put(uint8_t byte); /* waits until there is room; works with interrupts masked, too */

/* The timer: counts from mtvm_timer_init on, and does not wrap while anybody looks. */
void mtvm_timer_init(void);
void mtvm_timer_interrupt(void); /* the core's own, where it has one */
uint64_t mtvm_timer_ticks(void);
extern const uint32_t mtvm_timer_hz;

/* ports/baremetal */
void mtvm_port_fill_ram(void);   /* the variables of C: copy their values, clear the others */
void mtvm_port_construct(void);  /* call the constructors of owners' C */
__attribute__((noreturn)) void mtvm_port_start(void); /* call main */
void mtvm_ring_put(uint8_t byte);
void mtvm_console_put(const char *text, size_t n); /* what user code prints: log messages, line by line */

/* A fault in words, with up to two numbers that tell where; the chip is reset after. */
__attribute__((noreturn)) void mtvm_port_fault(const char *what, uintptr_t where, uintptr_t more);

#endif
