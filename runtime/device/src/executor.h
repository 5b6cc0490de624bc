/* SPDX-License-Identifier: Apache-2.0 */
/* The AOT executor as a module that the host calls. */
#ifndef MTVM_EXECUTOR_H
#define MTVM_EXECUTOR_H

#include "functions.h"

/* Its functions. */
extern const mtvm_named_fn_t mtvm_executor_functions[];
extern const size_t mtvm_executor_function_count;

/* tvm.aot_executor.create(module, device, name) */
int mtvm_executor_create(mtvm_call_t *call);

#endif
