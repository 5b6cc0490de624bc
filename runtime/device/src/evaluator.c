/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluator.h"

#include <microtvm/platform.h>
#include <string.h>

#include "error.h"
#include "functions.h"
#include "memory.h"
#include "objects.h"

typedef struct {
  uint64_t function; /* its handle: it may be freed between two measurements */
  int64_t number;
  uint32_t repeat;
  int32_t limit_zero; /* batches that read zero seconds before min_repeat_ms is given up */
  double min_seconds;
} evaluator_t;

#if defined(__GNUC__)
__attribute__((weak)) tvm_crt_error_t TVMPlatformBeforeMeasurement(void) { return kTvmErrorNoError; }
__attribute__((weak)) tvm_crt_error_t TVMPlatformAfterMeasurement(void) { return kTvmErrorNoError; }
#endif

enum { MODULE, NAME, DEVICE_TYPE, DEVICE_ID, NUMBER, REPEAT, MIN_REPEAT_MS, LIMIT_ZERO };

static void drop(void *object) { (void)mtvm_memory_free(object, MTVM_BLOCK_OBJECT); }

/* The results travel in one packet; what else is in it takes less than this. */
#define RESULT_OVERHEAD 64u
#define MAX_REPEAT ((MTVM_PACKET_BUFFER_BYTES - RESULT_OVERHEAD) / sizeof(double))

static int fill(evaluator_t *evaluator, const mtvm_call_t *call) {
  const TVMValue *values = call->values;
  if (mtvm_find_in_module((uint64_t)values[MODULE].v_int64, values[NAME].v_str, &evaluator->function) != 0) {
    return -1;
  }
  if (evaluator->function == 0) {
    return mtvm_error("time evaluator: there is no function \"%s\"", values[NAME].v_str, 0, 0);
  }
  if (values[NUMBER].v_int64 < 1 || values[MIN_REPEAT_MS].v_int64 < 0) {
    return mtvm_error("time evaluator: want number 1 or more and min_repeat_ms 0 or more, got %d and %d", "",
                      (uint64_t)values[NUMBER].v_int64, (uint64_t)values[MIN_REPEAT_MS].v_int64);
  }
  if (values[REPEAT].v_int64 < 1 || values[REPEAT].v_int64 > (int64_t)MAX_REPEAT) {
    return mtvm_error("time evaluator: want repeat 1 to %d, which fit in a packet, got %d", "", MAX_REPEAT,
                      (uint64_t)values[REPEAT].v_int64);
  }
  evaluator->number = values[NUMBER].v_int64;
  evaluator->repeat = (uint32_t)values[REPEAT].v_int64;
  evaluator->min_seconds = (double)(int32_t)values[MIN_REPEAT_MS].v_int64 / 1000.0;
  /* Hosts of TVM 0.9 and older do not send it; nor could any host wait for ever. */
  evaluator->limit_zero = 100;
  if (call->count > LIMIT_ZERO && call->codes[LIMIT_ZERO] == kTVMArgInt) {
    evaluator->limit_zero = (int32_t)values[LIMIT_ZERO].v_int64;
  }
  return 0;
}

int mtvm_evaluator_create(mtvm_call_t *call) {
  evaluator_t *evaluator;
  int owner;
  if (mtvm_want_arguments(call, "msiiiii") != 0) {
    return -1;
  }
  evaluator = mtvm_memory_alloc(sizeof *evaluator, MTVM_BLOCK_OBJECT);
  if (evaluator == NULL) {
    return -1;
  }
  owner = fill(evaluator, call) == 0 ? mtvm_objects_add(evaluator, MTVM_FUNCTION, drop) : -1;
  if (owner < 0) {
    drop(evaluator);
    return -1;
  }
  return mtvm_return_handle(call, kTVMPackedFuncHandle, mtvm_handle(MTVM_FUNCTION, (uint32_t)owner, 0));
}

static int timer_failed(tvm_crt_error_t code) {
  return mtvm_error("time evaluator: the platform's timer answers error %x", "", (uint32_t)code, 0);
}

/* Seconds that `number` runs take. */
static int time_batch(const mtvm_function_t *function, int64_t number, mtvm_call_t *call, double *seconds) {
  int failed = 0;
  tvm_crt_error_t code = TVMPlatformBeforeMeasurement();
  code = code != kTvmErrorNoError ? code : TVMPlatformTimerStart();
  if (code != kTvmErrorNoError) {
    return timer_failed(code);
  }
  for (int64_t i = 0; i < number && failed == 0; i++) {
    failed = mtvm_call(function, call);
  }
  code = TVMPlatformTimerStop(seconds);
  code = code != kTvmErrorNoError ? code : TVMPlatformAfterMeasurement();
  if (failed == 0 && code != kTvmErrorNoError) {
    return timer_failed(code);
  }
  return failed;
}

/* How many runs may reach min_seconds after `number` took `seconds`: what the rate says and one more, and
 * not less than 1.6 times as many. */
static int64_t more_runs(const evaluator_t *evaluator, double seconds) {
  const double grown = (double)evaluator->number * 1.618;
  const double wanted = seconds > 0 ? evaluator->min_seconds / (seconds / (double)evaluator->number) + 1 : 0;
  const double most = 1e9; /* beyond any timer's patience; keeps the conversion in range */
  const double runs = wanted > grown ? wanted : grown;
  return (int64_t)(int32_t)(runs < most ? runs : most) + (runs < 2 ? 1 : 0);
}

static int measure(evaluator_t *evaluator, const mtvm_function_t *function, mtvm_call_t *call,
                   double *seconds_per_run) {
  int32_t zeros = 0;
  double seconds = 0;
  if (time_batch(function, evaluator->number, call, &seconds) != 0) {
    return -1;
  }
  while (seconds < evaluator->min_seconds) {
    zeros += seconds > 0 ? 0 : 1;
    if (zeros >= evaluator->limit_zero && !(seconds > 0)) {
      break;
    }
    evaluator->number = more_runs(evaluator, seconds);
    if (time_batch(function, evaluator->number, call, &seconds) != 0) {
      return -1;
    }
  }
  *seconds_per_run = seconds / (double)evaluator->number;
  return 0;
}

int mtvm_evaluator_run(mtvm_call_t *call) {
  evaluator_t *evaluator = call->object;
  TVMByteArray *result = mtvm_scratch_take(&call->scratch, sizeof *result);
  double *seconds = mtvm_scratch_take(&call->scratch, evaluator->repeat * sizeof *seconds);
  const int64_t number = evaluator->number;
  mtvm_function_t function;
  int failed;
  if (result == NULL || seconds == NULL || mtvm_function_of(evaluator->function, &function) != 0) {
    return -1;
  }
  /* Once for caches, and to learn of a function that fails before anything is timed. */
  failed = mtvm_call(&function, call);
  for (uint32_t i = 0; i < evaluator->repeat && failed == 0; i++) {
    failed = measure(evaluator, &function, call, &seconds[i]);
  }
  evaluator->number = number;
  result->data = (const char *)seconds;
  result->size = evaluator->repeat * sizeof *seconds;
  call->result.v_handle = result;
  call->result_code = kTVMBytes;
  return failed;
}
