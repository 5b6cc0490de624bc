/* SPDX-License-Identifier: Apache-2.0 */
/* The last error message. An exception transmits it to the host. The functions return -1, so that a caller
 * can end with `return mtvm_want(...)`. */
#ifndef MTVM_SRC_ERROR_H
#define MTVM_SRC_ERROR_H

#include <microtvm/error.h>
#include <stdint.h>

/* Set the message to `text`. */
int mtvm_fail(const char *text);

/* Set the message to `text` with every "%s" replaced by `name`. Other uses of % are copied. */
int mtvm_error(const char *text, const char *name);

/* Append `text` to the message. */
void mtvm_error_add(const char *text);

/* Set the message to "<text> 0x<value>". */
int mtvm_error_hex(const char *text, uintptr_t value);

/* Set the message to "<what>: expected <want>, got <got>". */
int mtvm_want(const char *what, intptr_t want, intptr_t got);

/* Set the message to "<what>: expected at most <most>, got <got>", or to that with "at least". */
int mtvm_at_most(const char *what, intptr_t most, intptr_t got);
int mtvm_at_least(const char *what, intptr_t least, intptr_t got);

/* Set the message to "". */
void mtvm_error_clear(void);

/* Return the nearest intptr_t to a number from the wire. */
intptr_t mtvm_clip(int64_t value);

#endif
