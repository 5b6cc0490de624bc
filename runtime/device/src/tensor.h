/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a tensor that came from the host. */
#ifndef MTVM_TENSOR_H
#define MTVM_TENSOR_H

#include <dlpack/dlpack.h>

/* Bytes of the elements; -1 with the error set for a shape or data type that no tensor can have. */
int mtvm_tensor_bytes(const DLTensor *tensor, size_t *nbytes);

/* The same for a shape that is not in a DLTensor. */
int mtvm_shape_bytes(const int64_t *shape, int32_t ndim, DLDataType dtype, size_t *nbytes);

/* The elements and how many bytes they are; NULL with the error set unless all of the tensor, from its data
 * to the last element, lies in memory that was handed to the host. */
uint8_t *mtvm_tensor_elements(const DLTensor *tensor, size_t *nbytes);

/* A part of the elements, nbytes at the tensor's offset: hosts copy large tensors in pieces, the shape that of
 * the tensor, the offset that of the piece. NULL with the error set when the tensor is not so large or the
 * part does not lie in memory that was handed to the host. */
uint8_t *mtvm_tensor_window(const DLTensor *tensor, size_t nbytes);

/* 0 when a kernel may work on the tensor: it is in such memory or a constant of the model. */
int mtvm_tensor_check_argument(const DLTensor *tensor);

#endif
