/* SPDX-License-Identifier: Apache-2.0 */
/* The last error message of the device runtime. */
#ifndef MTVM_ERROR_H
#define MTVM_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Return the last error message, or "" when no error occurred. */
const char *mtvm_error_text(void);

#ifdef __cplusplus
}
#endif

#endif
