/* SPDX-License-Identifier: Apache-2.0 */
/* The registers that the USART and the low-power UART of STM32F0, F3, F7, G, H and L4 share (RM0385, RM0432):
 * separate data registers, flags cleared by writing. The C file has the functions of a UART but for mtvm_uart_init,
 * because the divisor differs. */
#ifndef MTVM_STM32_USART_H
#define MTVM_STM32_USART_H

#include <stdint.h>

void mtvm_stm32_usart_init(uint32_t divisor);

#endif
