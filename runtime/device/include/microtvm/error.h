/* SPDX-License-Identifier: Apache-2.0 */
/* The last error of the device runtime, as text. */
#ifndef MTVM_ERROR_H
#define MTVM_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* The text of the last error; "" when there was none. */
const char *mtvm_error_text(void);

#ifdef __cplusplus
}
#endif

#endif
