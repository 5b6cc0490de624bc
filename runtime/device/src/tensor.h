/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of tensors from the host. */
#ifndef MTVM_TENSOR_H
#define MTVM_TENSOR_H

#include <dlpack/dlpack.h>

/* Compute the size of the elements in bytes. Returns 0, or -1 with the error set for an invalid shape or data
 * type. */
int mtvm_tensor_bytes(const DLTensor *tensor, size_t *nbytes);

/* Compute the size of the elements of a shape in bytes. Returns 0, or -1 with the error set. */
int mtvm_shape_bytes(const int64_t *shape, int32_t ndim, DLDataType dtype, size_t *nbytes);

/* Return the elements, and set `nbytes` to their size.
 *
 * Returns NULL with the error set unless the whole tensor, from its data to the last element, is in memory
 * that the host may access. */
uint8_t *mtvm_tensor_elements(const DLTensor *tensor, size_t *nbytes);

/* Return `nbytes` of the elements, at the tensor's offset. Hosts copy large tensors in pieces: the shape is
 * that of the tensor, the offset that of the piece.
 *
 * Returns NULL with the error set when the tensor is smaller, or the piece is not in memory that the host may
 * access. */
uint8_t *mtvm_tensor_window(const DLTensor *tensor, size_t nbytes);

/* Check that a kernel may access the tensor: it must be in memory that the host may access, or be a constant
 * of the model. Returns 0, or -1 with the error set. */
int mtvm_tensor_check_argument(const DLTensor *tensor);

#endif
