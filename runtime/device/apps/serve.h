/* SPDX-License-Identifier: Apache-2.0 */
/* What the firmware of a host shares, whatever runtime answers: the main loop, and text before there is a server. */
#ifndef MTVM_APPS_SERVE_H
#define MTVM_APPS_SERVE_H

#include <stddef.h>
#include <stdint.h>

/* Initialise the platform, call `start`, and hand what the host sends to `feed` until the link is closed. Returns
 * what main returns. */
int mtvm_serve(void (*start)(void), void (*feed)(uint8_t *data, size_t n));

/* What mtvm_app_say hands its text to; NULL, as at first: to the link as it is, because there is no server that
 * would frame it. */
void mtvm_serve_log_with(void (*log)(const char *text));

#endif
