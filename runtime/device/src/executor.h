/* SPDX-License-Identifier: Apache-2.0 */
/* The AOT executor as a module that the host calls. */
#ifndef MTVM_EXECUTOR_H
#define MTVM_EXECUTOR_H

#include "functions.h"

/* Its functions. */
extern const mtvm_named_fn_t mtvm_executor_functions[];
extern const size_t mtvm_executor_function_count;

/* What the host may call inputs and outputs: an entry for each, NULL where the generated code's own name is to do. The
 * lists live as long as the program; NULL stands for a list without names. */
void mtvm_executor_set_names(const char *const *inputs, const char *const *outputs);

/* tvm.aot_executor.create(module, device, name) */
int mtvm_executor_create(mtvm_call_t *call);

#endif
