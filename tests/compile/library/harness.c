/* SPDX-License-Identifier: Apache-2.0 */
/* Run each case, and compare its output. Each tensor lies between guards, which no kernel may change. */
#include "harness.h"

#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
enum { MEMORY_BYTES = 512 * 1024 };
#else
enum { MEMORY_BYTES = 96 * 1024 };
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#endif

enum { GUARD_BYTES = 512, FILLED = 0xa5, DIGITS = 12 };

static __attribute__((aligned(16))) uint8_t memory[MEMORY_BYTES];

static void put_number(uint32_t number) {
  char text[DIGITS];
  int at = DIGITS - 1;
  text[at] = 0;
  do {
    text[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  put(text + at);
}

static int fails(const case_t *one, const char *what, uint32_t number) {
  put("FAILED ");
  put(one->label);
  put(": ");
  put(what);
  put_number(number);
  put("\n");
  return 1;
}

static uint32_t count_of(const case_t *one) { return one->inputs + 1 + (one->tensors[one->inputs + 1].bytes > 0); }

/* Place the tensors of a case, and return the end of the last guard; 0 if the memory is too small. */
static uint32_t place(const case_t *one, int in_place, void **places) {
  uint32_t end = GUARD_BYTES;
  for (uint32_t at = 0; at < count_of(one); at++) {
    const tensor_t *tensor = &one->tensors[at];
    if (at == one->inputs && in_place) {
      places[at] = places[0];
      continue;
    }
    places[at] = memory + end + tensor->misplaced;
    end = (end + tensor->misplaced + tensor->bytes + GUARD_BYTES + 15) / 16 * 16;
    if (end > MEMORY_BYTES) {
      return 0;
    }
  }
  return end;
}

static void poison_guards(const case_t *one, void *const *places, uint32_t end) {
  ASAN_POISON_MEMORY_REGION(memory, end);
  for (uint32_t at = 0; at < count_of(one); at++) {
    ASAN_UNPOISON_MEMORY_REGION(places[at], one->tensors[at].bytes);
  }
}

/* Compare the output, the inputs and the guards. */
static int check(const case_t *one, int in_place, void *const *places, uint32_t end) {
  const tensor_t *output = &one->tensors[one->inputs];
  const uint8_t *found = places[one->inputs], *expected = case_data + output->start;
  for (uint32_t at = 0; at < output->bytes; at++) {
    if (found[at] != expected[at]) {
      return fails(one, in_place ? "wrong output in place at " : "wrong output at ", at);
    }
  }
  for (uint32_t at = in_place ? 1 : 0; at < one->inputs; at++) {
    if (memcmp(places[at], case_data + one->tensors[at].start, one->tensors[at].bytes) != 0) {
      return fails(one, "changed input ", at);
    }
  }
  for (uint32_t at = 0; at < count_of(one); at++) {
    memset(places[at], FILLED, one->tensors[at].bytes);
  }
  for (uint32_t at = 0; at < end; at++) {
    if (memory[at] != FILLED) {
      return fails(one, "changed guard at ", at);
    }
  }
  return 0;
}

static int run(const case_t *one, int in_place) {
  void *places[MOST_TENSORS] = {0};
  const uint32_t end = place(one, in_place, places);
  if (end == 0) {
    return fails(one, "more memory than ", MEMORY_BYTES);
  }
  memset(memory, FILLED, end);
  for (uint32_t at = 0; at < one->inputs; at++) {
    memcpy(places[at], case_data + one->tensors[at].start, one->tensors[at].bytes);
  }
  poison_guards(one, places, end);
  one->run(places);
  ASAN_UNPOISON_MEMORY_REGION(memory, end);
  return check(one, in_place, places, end);
}

int main(void) {
  uint32_t failed = 0;
  put(uses_dsp ? "DSP\n" : "portable\n");
  for (uint32_t at = 0; at < case_count; at++) {
    put(cases[at].label);
    put("\n");
    failed += (uint32_t)run(&cases[at], 0);
    if (cases[at].is_in_place) {
      failed += (uint32_t)run(&cases[at], 1);
    }
  }
  put_number(failed);
  put(" failed\n");
  return failed > 0;
}
