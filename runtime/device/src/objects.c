/* SPDX-License-Identifier: Apache-2.0 */
#include "objects.h"

#include <microtvm/config.h>
#include <string.h>

#include "error.h"
#include "framing.h"

/* A handle is session << 48 | (generation ^ check) << 32 | kind << 24 | owner << 16 | member.
 *
 * The check is the CRC of the low word. It detects guessed handles and handles with a wrong bit: a kernel
 * that received the arguments of another kernel would crash. */
typedef struct {
  void *object; /* NULL: the slot is free */
  mtvm_drop_fn drop;
  uint16_t generation; /* number of objects so far in this slot, to detect old handles */
  uint16_t tensors;    /* the host's handles of tensors of the object */
  uint8_t kind;        /* of the handle of the object: module or function */
  bool named;          /* the host has that handle */
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

/* Return the generation in a handle, without checking it. */
static uint32_t generation_of(uint64_t handle) {
  return ((uint32_t)(handle >> 32) & 0xffffu) ^ check_of((uint32_t)handle);
}

uint64_t mtvm_handle(mtvm_handle_kind_t kind, uint32_t owner, uint32_t member) {
  const uint32_t generation = owner < MTVM_OWNER_FIRST_OBJECT ? 0 : slot(owner)->generation;
  const uint32_t low = (uint32_t)kind << 24 | owner << 16 | member;
  const uint32_t high = (uint32_t)session << 16 | (generation ^ check_of(low));
  return (uint64_t)high << 32 | low;
}

/* Add `step` to the number of tensor handles. A host that frees none reaches the maximum, which then stays:
 * the tensors are freed with the session. */
static void count_tensor(slot_t *of, int step) {
  if (of->tensors != UINT16_MAX) {
    of->tensors = (uint16_t)(of->tensors + step);
  }
}

void mtvm_objects_hold(uint32_t owner) { count_tensor(slot(owner), 1); }

static int not_a_handle(uint64_t handle) {
  return mtvm_error_hex("not a handle of this session:", (uintptr_t)handle);
}

/* Decode a handle. Its object may already be freed. Returns 0, or -1 with the error set. */
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
    return mtvm_error_hex("handle already freed:", (uintptr_t)handle);
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
    return mtvm_error_hex("wrong type code for handle", (uintptr_t)handle);
  }
  if (owner < MTVM_OWNER_FIRST_OBJECT) {
    return 0;
  }
  slot_t *of = slot(owner);
  if (kind == MTVM_FUNCTION && of->kind == MTVM_MODULE) {
    return 0; /* hosts free the functions of a module after the module */
  }
  if (!is_alive(handle, owner) || (kind == MTVM_TENSOR ? of->tensors == 0 : !of->named)) {
    return mtvm_error_hex("handle already freed:", (uintptr_t)handle);
  }
  if (kind == MTVM_TENSOR) {
    count_tensor(of, -1);
  } else {
    of->named = false;
  }
  drop_unused(of);
  return 0;
}
