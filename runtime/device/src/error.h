/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the last error, which travels to the host in an exception. All return -1, so that a function
 * can end with `return mtvm_want(...)`. */
#ifndef MTVM_SRC_ERROR_H
#define MTVM_SRC_ERROR_H

#include <microtvm/error.h>
#include <stdint.h>

/* The text as it is. */
int mtvm_fail(const char *text);

/* The text, with `name` in the place of every "%s" in it. No other letter after a % means anything. */
int mtvm_error(const char *text, const char *name);

/* One more piece of the text that was set last. */
void mtvm_error_add(const char *text);

/* "<text> 0x<value>" */
int mtvm_error_hex(const char *text, uintptr_t value);

/* "<what>: want <want>, got <got>" */
int mtvm_want(const char *what, intptr_t want, intptr_t got);

/* "<what>: want at most <most>, got <got>", and the same with "at least" */
int mtvm_at_most(const char *what, intptr_t most, intptr_t got);
int mtvm_at_least(const char *what, intptr_t least, intptr_t got);

void mtvm_error_clear(void);

/* Nearest to a number of the wire. */
intptr_t mtvm_clip(int64_t value);

#endif
