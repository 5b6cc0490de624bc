/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the last error, which travels to the host in an exception. */
#ifndef MTVM_ERROR_H
#define MTVM_ERROR_H

#include <microtvm/server.h>
#include <stdint.h>

/* Set the text: in `text`, %s stands for name, %d for the next number as a signed decimal, %x for the next
 * number in hexadecimal. Always -1, so that a function can end with `return mtvm_error(...)`. */
int mtvm_error(const char *text, const char *name, uint64_t first, uint64_t second);

void mtvm_error_clear(void);

#endif
