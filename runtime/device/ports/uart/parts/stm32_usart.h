/* SPDX-License-Identifier: Apache-2.0 */
/* The registers that the USART and the low-power UART of STM32F0, F3, F7, G, H and L4 share (RM0385, RM0432):
 * separate data registers, and flags that are cleared by writing. The C file defines the functions of a UART
 * except mtvm_uart_init, because the divisors differ. */
#ifndef MTVM_STM32_USART_H
#define MTVM_STM32_USART_H

#include <stdint.h>

/* Set the baud rate register to `divisor` and enable the UART with its receive interrupt. */
void mtvm_stm32_usart_init(uint32_t divisor);

#endif
