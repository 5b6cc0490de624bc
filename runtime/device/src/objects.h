/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: what the host holds of modules, functions and tensors.
 *
 * A handle says of itself which session, object and member it means, so that there is no table of handles to
 * run full and every other number is refused. Objects are AOT executors and time evaluators. */
#ifndef MTVM_OBJECTS_H
#define MTVM_OBJECTS_H

#include <stdint.h>

#include "packed.h"

typedef enum {
  MTVM_MODULE = 0x4d,
  MTVM_FUNCTION = 0x46,
  MTVM_TENSOR = 0x54,
} mtvm_handle_kind_t;

/* Owners of functions that always exist. */
#define MTVM_OWNER_GLOBAL 0u
#define MTVM_OWNER_SYSTEM_LIB 1u
#define MTVM_OWNER_FIRST_OBJECT 2u

/* What is done to an object when nobody refers to it any more. */
typedef void (*mtvm_drop_fn)(void *object);

/* A new session: forget all objects (their memory is forgotten with the whole workspace). */
void mtvm_objects_reset(uint16_t session_id);

/* Keep an object, which one handle refers to. Returns its owner number; -1 with the error set. */
int mtvm_objects_add(void *object, mtvm_handle_kind_t kind, mtvm_drop_fn drop);

uint64_t mtvm_handle(mtvm_handle_kind_t kind, uint32_t owner, uint32_t member);

/* One more handle of a tensor of the object is out. */
void mtvm_objects_hold(uint32_t owner);

/* Owner and member of a handle. -1 with the error set for a handle of another kind or session, or whose
 * object is gone. */
int mtvm_handle_find(uint64_t handle, mtvm_handle_kind_t kind, uint32_t *owner, uint32_t *member);

void *mtvm_object(uint32_t owner);
mtvm_handle_kind_t mtvm_object_kind(uint32_t owner);

/* The host gives a handle back. */
int mtvm_handle_free(uint64_t handle, int64_t type_code);

#endif
