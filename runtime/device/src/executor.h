/* SPDX-License-Identifier: Apache-2.0 */
/* The AOT executor as a module that the host calls. */
#ifndef MTVM_EXECUTOR_H
#define MTVM_EXECUTOR_H

#include "functions.h"

/* Its functions. */
extern const mtvm_named_fn_t mtvm_executor_functions[];
extern const size_t mtvm_executor_function_count;

/* What the host may call inputs and outputs: lists that end with NULL and live as long as the program. A tensor past
 * the end has the name that the generated code gives it. */
void mtvm_executor_set_names(const char *const *inputs, const char *const *outputs);

/* tvm.aot_executor.create(module, device, name) */
int mtvm_executor_create(mtvm_call_t *call);

#endif
