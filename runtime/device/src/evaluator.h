/* SPDX-License-Identifier: Apache-2.0 */
/* Time evaluators: functions that run another function repeatedly and return the seconds per run. */
#ifndef MTVM_EVALUATOR_H
#define MTVM_EVALUATOR_H

#include "packed.h"

/* Create a time evaluator: runtime.RPCTimeEvaluator(module, name, device type, device id, number, repeat,
 * min_repeat_ms, ...).
 *
 * The result is the handle of a function. Returns 0, or -1 with the error set. */
int mtvm_evaluator_create(mtvm_call_t *call);

/* Run the time evaluator call->object. The result is bytes: float64[repeat], the seconds per run of each
 * batch.
 *
 * Returns 0, or -1 with the error set. */
int mtvm_evaluator_run(mtvm_call_t *call);

#endif
