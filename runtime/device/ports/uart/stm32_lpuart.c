/* SPDX-License-Identifier: Apache-2.0 */
/* The low-power UART of STM32G, H and L4 (RM0432): a USART whose divisor is in 1/256 of a clock cycle. */
#include "../baremetal/port.h"
#include "divisor.h"
#include "parts/stm32_usart.h"

#define DIVISOR MTVM_DIVISOR(256, 1) /* 20 bits; at least 3 cycles per bit */
MTVM_CHECK_DIVISOR(DIVISOR, 0x300, 0xfffff);

void mtvm_uart_init(void) { mtvm_stm32_usart_init((uint32_t)DIVISOR); }
