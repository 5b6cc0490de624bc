/* SPDX-License-Identifier: Apache-2.0 */
/* The USART of STM32F0, F3, F7, G, H and L4 (RM0385, RM0432). */
#include "../baremetal/port.h"
#include "divisor.h"
#include "parts/stm32_usart.h"

#define DIVISOR MTVM_DIVISOR(1, 1) /* 16 bits; at least 16 samples per bit */
MTVM_CHECK_DIVISOR(DIVISOR, 16, 0xffff);

void mtvm_uart_init(void) { mtvm_stm32_usart_init((uint32_t)DIVISOR); }
