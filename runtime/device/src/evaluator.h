/* SPDX-License-Identifier: Apache-2.0 */
/* Time evaluators: functions that run another one again and again and answer seconds per run. */
#ifndef MTVM_EVALUATOR_H
#define MTVM_EVALUATOR_H

#include "packed.h"

/* runtime.RPCTimeEvaluator(module, name, device type, device id, number, repeat, min_repeat_ms, ...) */
int mtvm_evaluator_create(mtvm_call_t *call);

/* The function it returns: call->object is the evaluator, the result bytes, float64[repeat]. */
int mtvm_evaluator_run(mtvm_call_t *call);

#endif
