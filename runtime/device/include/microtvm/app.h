/* SPDX-License-Identifier: Apache-2.0 */
/* What a project adds to the device runtime: generated files that define these symbols. */
#ifndef MTVM_APP_H
#define MTVM_APP_H

#include <dlpack/dlpack.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* model_config.c, of every project. */
extern uint8_t mtvm_workspace[];
extern const size_t mtvm_workspace_size;
extern uint8_t mtvm_packet_buffer[];
extern const size_t mtvm_packet_buffer_size;

#ifdef __cplusplus
}
#endif

#endif
