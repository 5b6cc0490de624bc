/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: the references of the host to modules, functions and tensors.
 *
 * A handle contains its session, object and member. So no table of handles can run full, and every invalid
 * number is rejected. Objects are AOT executors and time evaluators. */
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

/* Free an object that has no more references. */
typedef void (*mtvm_drop_fn)(void *object);

/* Start a new session and discard all objects. Their memory is discarded with the whole workspace. */
void mtvm_objects_reset(uint16_t session_id);

/* Add an object with one handle, of kind `kind`. Returns its owner number, or -1 with the error set. */
int mtvm_objects_add(void *object, mtvm_handle_kind_t kind, mtvm_drop_fn drop);

/* Return the handle of a member of an owner. */
uint64_t mtvm_handle(mtvm_handle_kind_t kind, uint32_t owner, uint32_t member);

/* Count one more tensor handle of an object. */
void mtvm_objects_hold(uint32_t owner);

/* Decode a handle of kind `kind` to owner and member.
 *
 * Returns 0. Returns -1 with the error set for a handle of another kind or session, and when its object is
 * freed. */
int mtvm_handle_find(uint64_t handle, mtvm_handle_kind_t kind, uint32_t *owner, uint32_t *member);

/* Return the object of an owner; NULL for an owner that is not an object. */
void *mtvm_object(uint32_t owner);

/* Return the kind of the handle of an object. */
mtvm_handle_kind_t mtvm_object_kind(uint32_t owner);

/* Free a handle of the host. `type_code` is its type code in TVM. Returns 0, or -1 with the error set. */
int mtvm_handle_free(uint64_t handle, int64_t type_code);

#endif
