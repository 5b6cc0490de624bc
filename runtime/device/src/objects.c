/* SPDX-License-Identifier: Apache-2.0 */
#include "objects.h"

#include <microtvm/config.h>
#include <string.h>

#include "error.h"
#include "framing.h"

/* session << 48 | (generation ^ check) << 32 | kind << 24 | owner << 16 | member
 *
 * The check is the CRC of the low word: a handle that is one bit off, or guessed, is not that of another
 * function. A kernel that is called with the arguments of another one would crash. */
typedef struct {
  void *object; /* NULL: the slot is free */
  mtvm_drop_fn drop;
  uint16_t generation; /* counts the objects of this slot, so that old handles are told from new ones */
  uint16_t tensors;    /* handles of its tensors that are out */
  uint8_t kind;        /* of the handle that the object itself has: module, or function */
  bool named;          /* that handle is out */
} slot_t;

static slot_t slots[MTVM_MAX_OBJECTS];
static uint16_t session;

static slot_t *slot(uint32_t owner) { return &slots[owner - MTVM_OWNER_FIRST_OBJECT]; }

void mtvm_objects_reset(uint16_t session_id) {
  memset(slots, 0, sizeof slots);
  session = session_id;
}

int mtvm_objects_add(void *object, mtvm_handle_kind_t kind, mtvm_drop_fn drop) {
  for (uint32_t i = 0; i < MTVM_MAX_OBJECTS; i++) {
    if (slots[i].object == NULL) {
      slots[i].object = object;
      slots[i].drop = drop;
      slots[i].generation = (uint16_t)(slots[i].generation == UINT16_MAX ? 1 : slots[i].generation + 1);
      slots[i].tensors = 0;
      slots[i].kind = (uint8_t)kind;
      slots[i].named = true;
      return (int)(i + MTVM_OWNER_FIRST_OBJECT);
    }
  }
  return mtvm_at_most("executors and time evaluators", MTVM_MAX_OBJECTS, MTVM_MAX_OBJECTS + 1);
}

static uint32_t check_of(uint32_t low) { return mtvm_crc16(session, (const uint8_t *)&low, sizeof low); }

/* As the handle says, right or wrong. */
static uint32_t generation_of(uint64_t handle) {
  return ((uint32_t)(handle >> 32) & 0xffffu) ^ check_of((uint32_t)handle);
}

uint64_t mtvm_handle(mtvm_handle_kind_t kind, uint32_t owner, uint32_t member) {
  const uint32_t generation = owner < MTVM_OWNER_FIRST_OBJECT ? 0 : slot(owner)->generation;
  const uint32_t low = (uint32_t)kind << 24 | owner << 16 | member;
  const uint32_t high = (uint32_t)session << 16 | (generation ^ check_of(low));
  return (uint64_t)high << 32 | low;
}

/* A host that never frees its tensors reaches the largest count, which then stays: they are freed with the
 * session. */
static void count_tensor(slot_t *of, int step) {
  if (of->tensors != UINT16_MAX) {
    of->tensors = (uint16_t)(of->tensors + step);
  }
}

void mtvm_objects_hold(uint32_t owner) { count_tensor(slot(owner), 1); }

static int not_a_handle(uint64_t handle) { return mtvm_error_hex("no handle of this session:", (uintptr_t)handle); }

/* Take a handle apart, whether or not its object still exists. */
static int split(uint64_t handle, uint32_t *kind, uint32_t *owner, uint32_t *member) {
  const uint32_t generation = generation_of(handle);
  *kind = (uint32_t)handle >> 24;
  *owner = (uint32_t)handle >> 16 & 0xffu;
  *member = (uint32_t)handle & 0xffffu;
  if (session == 0 || handle >> 48 != session || *owner >= MTVM_MAX_OBJECTS + MTVM_OWNER_FIRST_OBJECT) {
    return not_a_handle(handle);
  }
  if (*owner < MTVM_OWNER_FIRST_OBJECT) {
    return generation == 0 ? 0 : not_a_handle(handle);
  }
  return generation != 0 && generation <= slot(*owner)->generation ? 0 : not_a_handle(handle);
}

static bool is_alive(uint64_t handle, uint32_t owner) {
  return owner < MTVM_OWNER_FIRST_OBJECT ||
         (slot(owner)->object != NULL && generation_of(handle) == slot(owner)->generation);
}

int mtvm_handle_find(uint64_t handle, mtvm_handle_kind_t kind, uint32_t *owner, uint32_t *member) {
  uint32_t found;
  if (split(handle, &found, owner, member) != 0) {
    return -1;
  }
  if (found != (uint32_t)kind) {
    return not_a_handle(handle);
  }
  if (!is_alive(handle, *owner)) {
    return mtvm_error_hex("a handle that was freed:", (uintptr_t)handle);
  }
  return 0;
}

void *mtvm_object(uint32_t owner) { return owner < MTVM_OWNER_FIRST_OBJECT ? NULL : slot(owner)->object; }

mtvm_handle_kind_t mtvm_object_kind(uint32_t owner) { return (mtvm_handle_kind_t)slot(owner)->kind; }

static void drop_unused(slot_t *of) {
  if (!of->named && of->tensors == 0) {
    of->drop(of->object);
    of->object = NULL;
  }
}

static uint32_t kind_of_code(int64_t type_code) {
  switch (type_code) {
    case kTVMModuleHandle:
      return MTVM_MODULE;
    case kTVMPackedFuncHandle:
      return MTVM_FUNCTION;
    case kTVMNDArrayHandle:
      return MTVM_TENSOR;
    default:
      return 0;
  }
}

int mtvm_handle_free(uint64_t handle, int64_t type_code) {
  uint32_t kind;
  uint32_t owner;
  uint32_t member;
  if (split(handle, &kind, &owner, &member) != 0) {
    return -1;
  }
  if (kind != kind_of_code(type_code)) {
    return mtvm_error_hex("another type code than that of handle", (uintptr_t)handle);
  }
  if (owner < MTVM_OWNER_FIRST_OBJECT) {
    return 0;
  }
  slot_t *of = slot(owner);
  if (kind == MTVM_FUNCTION && of->kind == MTVM_MODULE) {
    return 0; /* hosts free the functions of a module after the module */
  }
  if (!is_alive(handle, owner) || (kind == MTVM_TENSOR ? of->tensors == 0 : !of->named)) {
    return mtvm_error_hex("a handle that was freed:", (uintptr_t)handle);
  }
  if (kind == MTVM_TENSOR) {
    count_tensor(of, -1);
  } else {
    of->named = false;
  }
  drop_unused(of);
  return 0;
}
