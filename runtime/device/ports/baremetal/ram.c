/* SPDX-License-Identifier: Apache-2.0 */
/* The initialisation of RAM for C. It runs before static variables have their values, so it uses none. A
 * compiler may replace the loops by memcpy and memset. They are in flash and have no static variables
 * either. */
#include "port.h"

/* Defined in link.ld. */
extern uint32_t mtvm_data_load[];
extern uint32_t mtvm_data_begin[];
extern uint32_t mtvm_data_end[];
extern uint32_t mtvm_bss_begin[];
extern uint32_t mtvm_bss_end[];
extern void (*const mtvm_init_begin[])(void);
extern void (*const mtvm_init_end[])(void);

void mtvm_port_fill_ram(void) {
  const uint32_t *from = mtvm_data_load;
  for (uint32_t *to = mtvm_data_begin; to < mtvm_data_end; to++) {
    *to = *from++;
  }
  for (uint32_t *to = mtvm_bss_begin; to < mtvm_bss_end; to++) {
    *to = 0;
  }
}

void mtvm_port_construct(void) {
  for (void (*const *function)(void) = mtvm_init_begin; function < mtvm_init_end; function++) {
    (*function)();
  }
}
