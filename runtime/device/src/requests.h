/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose operands are a sequence of values: requests for memory, handles and devices. */
#ifndef MTVM_REQUESTS_H
#define MTVM_REQUESTS_H

#include "packed.h"

/* Read the operands of a request and execute it. `call` receives the result: one value, null by default.
 *
 * Returns 0. Returns -1 with the error set, also for an unknown code. */
int mtvm_request(int32_t code, mtvm_reader_t *reader, mtvm_call_t *call);

#endif
