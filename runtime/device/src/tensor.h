/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a tensor that came from the host. */
#ifndef MTVM_TENSOR_H
#define MTVM_TENSOR_H

#include <dlpack/dlpack.h>
#include <stdbool.h>

/* Bytes of the elements; -1 with the error set for a shape or data type that no tensor can have. */
int mtvm_tensor_bytes(const DLTensor *tensor, uint64_t *nbytes);

/* The same for a shape that is not in a DLTensor. */
int mtvm_shape_bytes(const int64_t *shape, int32_t ndim, DLDataType dtype, uint64_t *nbytes);

/* 0 when the whole tensor lies in memory that was handed to the host; -1 with the error set. */
int mtvm_tensor_check(const DLTensor *tensor);

/* 0 when the whole tensor lies where a kernel may read it: there, or a constant of the model. */
int mtvm_tensor_check_argument(const DLTensor *tensor);

/* First of the nbytes at the tensor's offset, which are all within the tensor and in memory of the host's;
 * NULL with the error set. */
uint8_t *mtvm_tensor_window(const DLTensor *tensor, uint64_t nbytes);

#endif
