/* SPDX-License-Identifier: Apache-2.0 */
/* Results of the platform functions. A port may return any other number too: it is shown to the host. */
#ifndef MTVM_CRT_ERROR_CODES_H
#define MTVM_CRT_ERROR_CODES_H

typedef enum {
  kTvmErrorNoError = 0,
  kTvmErrorPlatformCheckFailure = 0x8000,
  kTvmErrorPlatformTimerBadState = 0x8006,
  kTvmErrorMax = 0x7fffffff, /* four bytes wide on every ABI */
} tvm_crt_error_t;

#endif
