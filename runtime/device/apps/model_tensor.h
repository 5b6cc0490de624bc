/* SPDX-License-Identifier: Apache-2.0 */
/* An input or output of the AOT executor, whatever runtime that is of, as mtvm_model_input gives it. */
#ifndef MTVM_APPS_MODEL_TENSOR_H
#define MTVM_APPS_MODEL_TENSOR_H

#include <dlpack/dlpack.h>
#include <microtvm/app.h>

/* The executor has allocated `from`, so its size in bytes does not overflow. */
void mtvm_model_tensor_from(const DLTensor *from, mtvm_model_tensor_t *tensor);

#endif
