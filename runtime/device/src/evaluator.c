/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluator.h"

#include <microtvm/config.h>
#include <microtvm/platform.h>

#include "error.h"
#include "functions.h"
#include "memory.h"
#include "objects.h"

typedef struct {
  uint64_t function; /* a handle: the module may be freed between two measurements */
  uint32_t number;
  uint32_t repeat;
  uint32_t zeros; /* batches with a time of zero before min_seconds is ignored */
  double min_seconds;
} evaluator_t;

#if defined(__GNUC__)
__attribute__((weak)) tvm_crt_error_t TVMPlatformBeforeMeasurement(void) { return kTvmErrorNoError; }
__attribute__((weak)) tvm_crt_error_t TVMPlatformAfterMeasurement(void) { return kTvmErrorNoError; }
#endif

enum { MODULE, NAME, DEVICE_TYPE, DEVICE_ID, NUMBER, REPEAT, MIN_REPEAT_MS, LIMIT_ZERO };

static void drop(void *object) { (void)mtvm_memory_free(object, MTVM_BLOCK_OBJECT); }

/* Bytes that a packet needs in addition to the results. All results must fit into one packet. */
#define RESULT_OVERHEAD 64u
#define MAX_REPEAT ((MTVM_PACKET_BUFFER_BYTES - RESULT_OVERHEAD) / sizeof(double))

/* Read an argument and check that it is in 0 .. `most`. Returns 0, or -1 with the error set. */
static int read_argument(const mtvm_call_t *call, int index, uint32_t most, uint32_t *value) {
  const int64_t got = call->values[index].v_int64;
  if (got < 0 || got > (int64_t)most) {
    return mtvm_at_most("time evaluator argument", (intptr_t)most, mtvm_clip(got));
  }
  *value = (uint32_t)got;
  return 0;
}

static int fill(evaluator_t *evaluator, const mtvm_call_t *call) {
  const char *name = call->values[NAME].v_str;
  if (mtvm_find_in_module((uint64_t)call->values[MODULE].v_int64, name, &evaluator->function) != 0) {
    return -1;
  }
  if (evaluator->function == 0) {
    return mtvm_error("no function %s to measure", name);
  }
  uint32_t milliseconds = 0;
  if (read_argument(call, NUMBER, MTVM_MAX_RUNS, &evaluator->number) != 0 ||
      read_argument(call, REPEAT, MAX_REPEAT, &evaluator->repeat) != 0 ||
      read_argument(call, MIN_REPEAT_MS, MTVM_MAX_BYTES, &milliseconds) != 0) {
    return -1;
  }
  if (evaluator->number == 0) {
    evaluator->number = 1;
  }
  evaluator->min_seconds = (double)milliseconds / 1000;
  evaluator->zeros = 100; /* the default of newer hosts */
  if (call->count > LIMIT_ZERO && call->codes[LIMIT_ZERO] == kTVMArgInt) {
    return read_argument(call, LIMIT_ZERO, MTVM_MAX_BYTES, &evaluator->zeros);
  }
  return 0;
}

int mtvm_evaluator_create(mtvm_call_t *call) {
  if (mtvm_want_arguments(call, "msiiiii") != 0) {
    return -1;
  }
  evaluator_t *evaluator = mtvm_memory_alloc(sizeof *evaluator, MTVM_BLOCK_OBJECT);
  if (evaluator == NULL) {
    return -1;
  }
  const int owner = fill(evaluator, call) == 0 ? mtvm_objects_add(evaluator, MTVM_FUNCTION, drop) : -1;
  if (owner < 0) {
    drop(evaluator);
    return -1;
  }
  return mtvm_return_handle(call, kTVMPackedFuncHandle, mtvm_handle(MTVM_FUNCTION, (uint32_t)owner, 0));
}

/* Run the function once. Its result is not used, so a handle in the result is freed immediately. */
static int run_once(const mtvm_function_t *function, mtvm_call_t *call) {
  if (mtvm_call(function, call) != 0) {
    return -1;
  }
  if (call->handle != 0) {
    (void)mtvm_handle_free(call->handle, call->result_code);
    call->handle = 0;
  }
  return 0;
}

/* Measure the seconds that `number` runs take. */
static int time_batch(const mtvm_function_t *function, uint32_t number, mtvm_call_t *call, double *seconds) {
  int failed = 0;
  tvm_crt_error_t code = TVMPlatformBeforeMeasurement();
  code = code != kTvmErrorNoError ? code : TVMPlatformTimerStart();
  for (uint32_t i = 0; i < number && code == kTvmErrorNoError && failed == 0; i++) {
    failed = run_once(function, call);
  }
  code = code != kTvmErrorNoError ? code : TVMPlatformTimerStop(seconds);
  code = code != kTvmErrorNoError ? code : TVMPlatformAfterMeasurement();
  if (failed == 0 && code != kTvmErrorNoError) {
    return mtvm_want("timer result", 0, (intptr_t)code);
  }
  return failed;
}

/* Return how many runs may take min_seconds when `number` runs took `seconds`: the number that the rate
 * predicts plus one, and at least 1.6 times `number`. */
static uint32_t more_runs(double min_seconds, uint32_t number, double seconds) {
  const uint32_t grown = number + number / 2 + number / 8 + 1;
  double wanted = 0;
  if (seconds > 0) {
    wanted = min_seconds / seconds * number;
  }
  if (wanted >= MTVM_MAX_RUNS || grown >= MTVM_MAX_RUNS) {
    return MTVM_MAX_RUNS;
  }
  return (uint32_t)wanted >= grown ? (uint32_t)wanted + 1 : grown;
}

static int measure(evaluator_t *evaluator, const mtvm_function_t *function, mtvm_call_t *call,
                   double *seconds_per_run) {
  uint32_t zeros = 0;
  for (;;) {
    double seconds;
    if (time_batch(function, evaluator->number, call, &seconds) != 0) {
      return -1;
    }
    if (!(seconds > 0)) {
      zeros++;
    }
    if (seconds >= evaluator->min_seconds || zeros >= evaluator->zeros || evaluator->number == MTVM_MAX_RUNS) {
      *seconds_per_run = seconds / evaluator->number;
      return 0;
    }
    evaluator->number = more_runs(evaluator->min_seconds, evaluator->number, seconds);
  }
}

int mtvm_evaluator_run(mtvm_call_t *call) {
  evaluator_t *evaluator = call->object;
  TVMByteArray *result = mtvm_scratch_alloc(&call->scratch, sizeof *result);
  double *seconds = mtvm_scratch_alloc(&call->scratch, evaluator->repeat * sizeof *seconds);
  mtvm_function_t function;
  if (result == NULL || seconds == NULL || mtvm_function_of(evaluator->function, &function) != 0) {
    return -1;
  }
  /* Run once untimed: to warm the caches, and to detect a function that fails before the measurement. */
  int failed = run_once(&function, call);
  for (uint32_t i = 0; i < evaluator->repeat && failed == 0; i++) {
    failed = measure(evaluator, &function, call, &seconds[i]);
  }
  result->data = (const char *)seconds;
  result->size = evaluator->repeat * sizeof *seconds;
  call->result.v_handle = result;
  call->result_code = kTVMBytes;
  return failed;
}
