/* SPDX-License-Identifier: Apache-2.0 */
/* The low-power UART of STM32G, H and L4 (RM0432): a USART whose divisor is in 256ths of a bit. */
#include "../baremetal/port.h"
#include "divisor.h"
#include "parts/stm32_usart.h"

#define DIVISOR MTVM_DIVISOR(256, 1) /* 20 bits; 3 cycles make a bit at least */
MTVM_CHECK_DIVISOR(DIVISOR, 0x300, 0xfffff);

void mtvm_uart_init(void) { mtvm_stm32_usart_init((uint32_t)DIVISOR); }
