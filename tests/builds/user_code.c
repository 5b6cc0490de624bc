/* SPDX-License-Identifier: Apache-2.0 */
/* Example of user code in a project: device functions, some of which fail. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/platform.h>

uint64_t mtvm_timer_ticks(void);
uint32_t mtvm_timer_hz(void);

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

FUNCTION(stores) { RETURN(*(volatile int *)(uintptr_t)args[0].v_int64 = 1); }

FUNCTION(writes_code) { RETURN(*(volatile uint8_t *)(uintptr_t)stores = (uint8_t)args[0].v_int64); }

FUNCTION(jumps) {
  ((void (*)(void))(uintptr_t)args[0].v_int64)();
  RETURN(0);
}

FUNCTION(runs_garbage) {
  (void)args;
#ifdef __riscv
  __asm volatile(".word 0");
#else
  __asm volatile(".short 0xdeff");
#endif
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

FUNCTION(asserts) {
  assert(args[0].v_int64 != 0);
  RETURN(0);
}

FUNCTION(calls_the_system) {
  (void)args;
#ifdef __riscv
  __asm volatile("ecall");
#else
  __asm volatile("svc 0");
#endif
  RETURN(0);
}

FUNCTION(prints) {
  printf("%d and %s\n", (int)args[0].v_int64, "words");
  printf("no end");
  printf(" of line\n\nlast\n");
  puts("one\ntwo");
  RETURN(0);
}

/* Allocate and free args[0] bytes. Return 0, or errno. */
FUNCTION(allocates) {
  void *block = malloc((size_t)args[0].v_int64);
  const int error = block == NULL ? errno : 0;
  free(block);
  RETURN(error);
}

#ifdef __riscv
#define CSR(words) ".option push\n\t.option arch, +zicsr\n\t" words "\n\t.option pop\n\t"
#define MASK_INTERRUPTS CSR("csrci mstatus, 8")
#define UNMASK_INTERRUPTS CSR("csrsi mstatus, 8")
#else
#define MASK_INTERRUPTS "cpsid i"
#define UNMASK_INTERRUPTS "cpsie i"
#endif

/* Compute for at least args[0] microseconds. Return the measured microseconds, or -1 when the clock went
 * back. The clock is read alternately with interrupts masked and unmasked. */
FUNCTION(computes) {
  const uint64_t begun = mtvm_timer_ticks();
  const uint64_t ticks = (uint64_t)args[0].v_int64 * mtvm_timer_hz() / 1000000 + 1;
  uint64_t now = begun;
  for (unsigned turn = 0; now - begun < ticks; turn++) {
    const uint64_t last = now;
    if (turn % 2 == 0) {
      __asm volatile(MASK_INTERRUPTS ::: "memory");
    }
    for (volatile int i = 0; i < 50; i++) {
    }
    now = mtvm_timer_ticks();
    __asm volatile(UNMASK_INTERRUPTS ::: "memory");
    if (now < last) {
      RETURN(-1);
    }
  }
  RETURN((int64_t)((now - begun) * 1000000 / mtvm_timer_hz()));
}

FUNCTION(adds_up) {
  const TVMByteArray *bytes = args[0].v_handle;
  int64_t sum = 0;
  for (size_t i = 0; i < bytes->size; i++) {
    sum += (uint8_t)bytes->data[i];
  }
  RETURN(sum);
}

/* Run a loop of two instructions args[0] times. */
FUNCTION(loops) {
  uintptr_t turns = (uintptr_t)args[0].v_int64;
#ifdef __riscv
  __asm volatile("1: addi %0, %0, -1\n\tbnez %0, 1b" : "+r"(turns));
#else
  __asm volatile(".syntax unified\n\t1: subs %0, %0, #1\n\tbne 1b" : "+l"(turns)::"cc");
#endif
  RETURN((int64_t)turns);
}

/* Call the function args[0] with the remaining arguments. One registered function is enough for all of them,
 * because the table of the firmware is small. */
FUNCTION(user) {
  static int (*const functions[])(TVMValue *, int *, int, TVMValue *, int *, void *) = {
      recurses, reads,     stores,   writes_code,      jumps,   runs_garbage, gives_up, aborts, asserts,
      prints,   allocates, computes, calls_the_system, adds_up, loops,
  };
  return functions[args[0].v_int64](args + 1, codes + 1, count - 1, result, result_code, resource);
}

__attribute__((constructor)) static void offer(void) {
  (void)TVMFuncRegisterGlobal("user", (TVMFunctionHandle)(uintptr_t)user, 0);
}
