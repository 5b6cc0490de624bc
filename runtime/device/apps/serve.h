/* SPDX-License-Identifier: Apache-2.0 */
/* The main loop and the text output of host-driven firmware, for both runtimes. */
#ifndef MTVM_APPS_SERVE_H
#define MTVM_APPS_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Initialise the platform, start the server, and feed the bytes of the host to it until the link is closed.
 *
 * Returns the value that main returns: 0. */
int mtvm_serve(void);

/* Choose how mtvm_app_say sends its text: as a log message, or unframed. Unframed is the default, because the
 * server that frames log messages does not exist yet. */
void mtvm_serve_frame_text(bool framed);

/* Defined by each firmware, called by mtvm_serve and mtvm_app_say. Direct calls instead of pointers in RAM: a
 * kernel that overwrites RAM would turn the report of its fault into a jump to a random address. */
void mtvm_serve_start(void);
void mtvm_serve_feed(uint8_t *data, size_t n);
void mtvm_serve_log(const char *text);

#endif
