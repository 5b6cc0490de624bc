/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of the inputs and outputs of an executor, for mtvm_model_input and mtvm_model_output of both
 * runtimes. */
#ifndef MTVM_APPS_MODEL_TENSOR_H
#define MTVM_APPS_MODEL_TENSOR_H

#include <dlpack/dlpack.h>
#include <microtvm/app.h>

/* Copy data type, address and size in bytes of `from` to `tensor`. The executor allocated `from`, so the size
 * does not overflow. */
void mtvm_model_tensor_from(const DLTensor *from, mtvm_model_tensor_t *tensor);

#endif
