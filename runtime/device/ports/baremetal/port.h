/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that the parts of a port without an operating system call in each other. A board selects three of
 * the parts: the core (ports/cortex_m, ports/riscv), the UART (ports/uart) and the timer (ports/timer). The
 * generated board.h describes the board to them. */
#ifndef MTVM_PORT_H
#define MTVM_PORT_H

#include <board.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Access to a register by its address. */
#define MTVM_REGISTER(bits, address) (*(volatile uint##bits##_t *)(uintptr_t)(address))

#define MTVM_CHANGE(address, clear, set, bits) \
  MTVM_REGISTER(bits, address) =               \
      (uint##bits##_t)((MTVM_REGISTER(bits, address) & ~(uint##bits##_t)(clear)) | (uint##bits##_t)(set));

/* Defined in link.ld and memory.ld. */
extern uint8_t mtvm_stack_bottom[];
extern uint8_t mtvm_stack_top[];

/* The core. Its start-up code calls the three functions of ports/baremetal below, in their order. */
void mtvm_core_init(void);                            /* enable caches and everything else that main needs */
void mtvm_core_enable_interrupt(uint32_t interrupt);  /* at the interrupt controller */
void mtvm_core_mask(void);                            /* disable all interrupts */
void mtvm_core_unmask(void);
void mtvm_core_sleep(void);                           /* until an interrupt is pending, even a masked one */
__attribute__((noreturn)) void mtvm_core_restart(void);

/* The UART. Its interrupt passes each received byte to mtvm_ring_put. */
void mtvm_uart_init(void);
void mtvm_uart_interrupt(void);
void mtvm_uart_put(uint8_t byte); /* waits for room; works with interrupts masked, too */

/* The timer. It counts from mtvm_timer_init on. It does not wrap between two readings. Each measurement calls
 * mtvm_timer_init again; a timer with an interrupt then begins a period, so that equal code takes equal time. */
void mtvm_timer_init(void);
void mtvm_timer_interrupt(void); /* of SysTick, or BOARD_TIMER_INTERRUPT, if any */
uint64_t mtvm_timer_ticks(void);
uint32_t mtvm_timer_hz(void); /* ticks per second */

/* ports/baremetal */
void mtvm_port_fill_ram(void);   /* initialise the variables of C */
void mtvm_port_construct(void);  /* call the constructors in user code */
__attribute__((noreturn)) void mtvm_port_start(void); /* call main */
void mtvm_ring_put(uint8_t byte);
void mtvm_console_put(const char *text, size_t n); /* print output of user code as log messages, one per line */

/* Report a fault, then reset the chip.
 *
 * `what` describes the fault; it names `where` and `more`, which are printed after it in hexadecimal. */
__attribute__((noreturn)) void mtvm_port_fault(const char *what, uintptr_t where, uintptr_t more);

#endif
