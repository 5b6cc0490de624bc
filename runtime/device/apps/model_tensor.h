/* SPDX-License-Identifier: Apache-2.0 */
/* The description of an executor's input or output that mtvm_model_input and mtvm_model_output return, for both
 * runtimes. */
#ifndef MTVM_APPS_MODEL_TENSOR_H
#define MTVM_APPS_MODEL_TENSOR_H

#include <dlpack/dlpack.h>
#include <microtvm/app.h>

/* Describe `from`. The executor has allocated it, so its size in bytes does not overflow. */
void mtvm_model_tensor_from(const DLTensor *from, mtvm_model_tensor_t *tensor);

#endif
