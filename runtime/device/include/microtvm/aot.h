/* SPDX-License-Identifier: Apache-2.0 */
/* The AOT executor: the inputs and outputs of a model in the workspace, and the call that runs the model.
 * Used by the RPC server and by standalone firmware. */
#ifndef MTVM_AOT_H
#define MTVM_AOT_H

#include <dlpack/dlpack.h>
#include <microtvm/error.h>
#include <microtvm/memory.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mtvm_aot mtvm_aot_t;

/* Create an executor, with its inputs set to zero.
 *
 * `name` is the name of the AOT module in the system library: "default" for most archives. Returns NULL with
 * mtvm_error_text() set when the module does not exist or memory is short. */
mtvm_aot_t *mtvm_aot_create(const char *name);
void mtvm_aot_destroy(mtvm_aot_t *aot);

size_t mtvm_aot_num_inputs(const mtvm_aot_t *aot);
size_t mtvm_aot_num_outputs(const mtvm_aot_t *aot);

/* Return the tensor or the name with this index, or NULL when `index` is too large. A tensor lives as long as
 * the executor. */
DLTensor *mtvm_aot_input(mtvm_aot_t *aot, size_t index);
DLTensor *mtvm_aot_output(mtvm_aot_t *aot, size_t index);
const char *mtvm_aot_input_name(const mtvm_aot_t *aot, size_t index);
const char *mtvm_aot_output_name(const mtvm_aot_t *aot, size_t index);

/* Run the model. Returns 0, or -1 with mtvm_error_text() set. */
int mtvm_aot_run(mtvm_aot_t *aot);

#ifdef __cplusplus
}
#endif

#endif
