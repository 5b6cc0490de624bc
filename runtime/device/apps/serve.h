/* SPDX-License-Identifier: Apache-2.0 */
/* The main loop and the text output of host-driven firmware, for both runtimes. */
#ifndef MTVM_APPS_SERVE_H
#define MTVM_APPS_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Initialise the platform, start the server, and feed it the host's bytes until the link is closed. Returns the value
 * for main to return. */
int mtvm_serve(void);

/* Whether mtvm_app_say sends its text as a log message. At first it does not: the text goes to the link unframed,
 * because there is no server that frames it. */
void mtvm_serve_frame_text(bool framed);

/* The firmware's own, called by the above. They are no pointers in RAM: a kernel that overwrites RAM would turn the
 * report of its fault into a jump anywhere. */
void mtvm_serve_start(void);
void mtvm_serve_feed(uint8_t *data, size_t n);
void mtvm_serve_log(const char *text);

#endif
