/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose operands are a sequence of values: memory, handles, and what hosts ask of a device. */
#ifndef MTVM_REQUESTS_H
#define MTVM_REQUESTS_H

#include "packed.h"

/* Read the operands of the request and carry it out. The result in `call` is one value, null unless the request sets
 * another. 0, or -1 with the error set, as for a code that is not one of these. */
int mtvm_request(int32_t code, mtvm_reader_t *reader, mtvm_call_t *call);

#endif
