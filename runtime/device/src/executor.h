/* SPDX-License-Identifier: Apache-2.0 */
/* The AOT executor as a module that the host calls. */
#ifndef MTVM_EXECUTOR_H
#define MTVM_EXECUTOR_H

#include "functions.h"

/* The functions of an executor. */
extern const mtvm_named_fn_t mtvm_executor_functions[];
extern const size_t mtvm_executor_function_count;

/* Set the names that the host may use for inputs and outputs. The lists end with NULL and live as long as the
 * program. A tensor beyond the end of its list has its name in the generated code. */
void mtvm_executor_set_names(const char *const *inputs, const char *const *outputs);

/* Create an executor: tvm.aot_executor.create(module, device, name). Returns 0, or -1 with the error set. */
int mtvm_executor_create(mtvm_call_t *call);

#endif
