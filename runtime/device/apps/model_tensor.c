/* SPDX-License-Identifier: Apache-2.0 */
#include "model_tensor.h"

void mtvm_model_tensor_from(const DLTensor *from, mtvm_model_tensor_t *tensor) {
  tensor->dtype = from->dtype;
  tensor->data = from->data;
  tensor->nbytes = ((size_t)from->dtype.bits * from->dtype.lanes + 7) / 8;
  for (int32_t i = 0; i < from->ndim; i++) {
    tensor->nbytes *= (size_t)from->shape[i];
  }
}
