/* SPDX-License-Identifier: Apache-2.0 */
/* The model of standalone firmware whose archive has the packed interface. The AOT executor runs it. */
#include <microtvm/aot.h>
#include <microtvm/app.h>

#include "model_tensor.h"

static mtvm_aot_t *aot;

int mtvm_model_open(void) {
  aot = mtvm_aot_create(mtvm_model_name);
  return aot == NULL ? -1 : 0;
}

static bool describe(const DLTensor *from, mtvm_model_tensor_t *tensor) {
  if (from != NULL) {
    mtvm_model_tensor_from(from, tensor);
  }
  return from != NULL;
}

bool mtvm_model_input(size_t index, mtvm_model_tensor_t *tensor) {
  return describe(mtvm_aot_input(aot, index), tensor);
}

bool mtvm_model_output(size_t index, mtvm_model_tensor_t *tensor) {
  return describe(mtvm_aot_output(aot, index), tensor);
}

int mtvm_model_run(void) { return mtvm_aot_run(aot); }
