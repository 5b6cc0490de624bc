/* SPDX-License-Identifier: Apache-2.0 */
/* What an owner may add to a Cortex-M project: device functions, some of which go wrong. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/platform.h>

uint64_t mtvm_timer_ticks(void);
extern const uint32_t mtvm_timer_hz;

#define FUNCTION(name) \
  static int name(TVMValue *args, int *codes, int count, TVMValue *result, int *result_code, void *resource)
#define RETURN(number) \
  return (void)codes, (void)count, (void)resource, *result_code = kTVMArgInt, result->v_int64 = (number), 0

__attribute__((noinline)) static int recurse(int depth) {
  volatile int room[16];
  room[depth & 15] = depth;
  return recurse(depth + 1) + room[depth & 15];
}

FUNCTION(recurses) { RETURN(recurse((int)args[0].v_int64)); }

FUNCTION(reads) { RETURN(*(volatile int *)(uintptr_t)args[0].v_int64); }

FUNCTION(jumps) {
  ((void (*)(void))(uintptr_t)args[0].v_int64)();
  RETURN(0);
}

FUNCTION(runs_garbage) {
  (void)args;
  __asm volatile(".short 0xdeff");
  RETURN(0);
}

FUNCTION(gives_up) {
  TVMPlatformAbort((tvm_crt_error_t)args[0].v_int64);
  RETURN(0);
}

FUNCTION(aborts) {
  (void)args;
  abort();
  RETURN(0);
}

FUNCTION(prints) {
  printf("%d and %s\n", (int)args[0].v_int64, "words");
  printf("no end");
  printf(" of line\n\nlast\n");
  RETURN(0);
}

FUNCTION(allocates) {
  void *block = malloc((size_t)args[0].v_int64);
  const int found = block != NULL;
  free(block);
  RETURN(found);
}

/* The time that it took, in microseconds: at least as many as it is told. -1 when the clock went back. It is
 * read with interrupts masked in turn with interrupts on. */
FUNCTION(computes) {
  const uint64_t begun = mtvm_timer_ticks();
  const uint64_t end = begun + (uint64_t)args[0].v_int64 * (mtvm_timer_hz / 1000000);
  uint64_t now = begun;
  for (unsigned turn = 0; now < end; turn++) {
    const uint64_t last = now;
    if (turn % 2 == 0) {
      __asm volatile("cpsid i" ::: "memory");
    }
    for (volatile int i = 0; i < 50; i++) {
    }
    now = mtvm_timer_ticks();
    __asm volatile("cpsie i" ::: "memory");
    if (now < last) {
      RETURN(-1);
    }
  }
  RETURN((int64_t)((now - begun) / (mtvm_timer_hz / 1000000)));
}

FUNCTION(adds_up) {
  const TVMByteArray *bytes = args[0].v_handle;
  int64_t sum = 0;
  for (size_t i = 0; i < bytes->size; i++) {
    sum += (uint8_t)bytes->data[i];
  }
  RETURN(sum);
}

/* user(which, number): as the firmware has room for few names. */
FUNCTION(user) {
  static int (*const functions[])(TVMValue *, int *, int, TVMValue *, int *, void *) = {
      recurses, reads, jumps, runs_garbage, gives_up, aborts, prints, allocates, computes, adds_up,
  };
  return functions[args[0].v_int64](args + 1, codes + 1, count - 1, result, result_code, resource);
}

__attribute__((constructor)) static void offer(void) {
  (void)TVMFuncRegisterGlobal("user", (TVMFunctionHandle)(uintptr_t)user, 0);
}
