/* SPDX-License-Identifier: Apache-2.0 */
/* The main loop and the text output of host-driven firmware, for both runtimes. */
#ifndef MTVM_APPS_SERVE_H
#define MTVM_APPS_SERVE_H

#include <stddef.h>
#include <stdint.h>

/* Initialise the platform, call `start`, and pass the host's bytes to `feed` until the link is closed. Returns the
 * value for main to return. */
int mtvm_serve(void (*start)(void), void (*feed)(uint8_t *data, size_t n));

/* Set the function that mtvm_app_say passes its text to. NULL, the initial value: the text goes to the link unframed,
 * because there is no server that frames it. */
void mtvm_serve_log_with(void (*log)(const char *text));

#endif
