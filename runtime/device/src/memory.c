/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <microtvm/block.h>
#include <microtvm/config.h>

#include "error.h"

/* The header of every block. The tag depends on size and kind, so that a header that a kernel has overwritten
 * is detected. */
typedef struct {
  uint32_t size; /* of header and data, a multiple of MTVM_ALIGN */
  uint32_t tag;
} header_t;

#define TAG 0x5aa5c33cu
#define NOWHERE 0x80000000u /* larger than any offset or size in a workspace */

static struct {
  uint8_t *base;
  uint32_t size;
  uint32_t top;   /* end of the blocks at the bottom */
  uint32_t stack; /* begin of the stack; its end is size */
  uint32_t least; /* smallest free space between top and stack so far */
} memory;

int mtvm_memory_init(uint8_t *data, size_t size) {
  const size_t skip = MTVM_BLOCK_SKIP(data);
  size = size < MTVM_MAX_BYTES ? size : MTVM_MAX_BYTES;
  if (size < skip + MTVM_BLOCK_LEAST) {
    return mtvm_at_least("workspace bytes", 3 * MTVM_ALIGN, (intptr_t)size);
  }
  memory.base = data + skip;
  memory.size = MTVM_BLOCK_WHOLE(size - skip);
  memory.least = memory.size;
  mtvm_memory_reset();
  return 0;
}

void mtvm_memory_reset(void) {
  memory.top = 0;
  memory.stack = memory.size;
}

size_t mtvm_memory_peak(void) { return memory.size - memory.least; }

static void note_free(void) {
  const uint32_t free_now = memory.stack - memory.top;
  memory.least = free_now < memory.least ? free_now : memory.least;
}

/* Return the size of a block with `nbytes` of data; a size larger than the workspace when it cannot exist. */
static uint32_t block_size(size_t nbytes) {
  if (nbytes > memory.size) {
    return NOWHERE;
  }
  if (nbytes == 0) { /* tensors without elements have unique addresses, too */
    nbytes = 1;
  }
  return MTVM_BLOCK_BYTES(nbytes);
}

static header_t *at(uint32_t offset) { return (header_t *)(void *)(memory.base + offset); }

static void set_block(uint32_t offset, uint32_t size, mtvm_block_kind_t kind) {
  at(offset)->size = size;
  at(offset)->tag = (TAG + (uint32_t)kind) ^ size;
}

/* Return the kind of a block that ends at `end` or before; -1 with the error set when its header was
 * overwritten. */
static int block_kind(uint32_t offset, uint32_t end) {
  const header_t *header = at(offset);
  const uint32_t kind = (header->tag ^ header->size) - TAG;
  if (kind > MTVM_BLOCK_STACK || header->size == 0 || header->size > end - offset) {
    return mtvm_error_hex("a kernel wrote past its tensor, to", (uintptr_t)header);
  }
  return (int)kind;
}

/* Join a free block with the free blocks after it. Returns 0, or -1 with the error set. */
static int join(uint32_t offset) {
  for (;;) {
    const uint32_t next = offset + at(offset)->size;
    if (next >= memory.top) {
      return 0;
    }
    const int kind = block_kind(next, memory.top);
    if (kind != MTVM_BLOCK_FREE) {
      return kind < 0 ? -1 : 0;
    }
    set_block(offset, at(offset)->size + at(next)->size, MTVM_BLOCK_FREE);
  }
}

static int no_room(size_t nbytes, uint32_t largest) {
  return mtvm_want("out of workspace memory, bytes", (intptr_t)nbytes,
                   largest < MTVM_ALIGN ? 0 : (intptr_t)(largest - MTVM_ALIGN));
}

/* Find a free block of `size` bytes or more. Sets `largest` to the largest free block.
 *
 * Returns its offset, memory.top when no block is large enough, or NOWHERE when a header was overwritten. */
static uint32_t find_free(uint32_t size, uint32_t *largest) {
  uint32_t offset = 0;
  while (offset < memory.top) {
    const int kind = block_kind(offset, memory.top);
    if (kind < 0 || (kind == MTVM_BLOCK_FREE && join(offset) != 0)) {
      return NOWHERE;
    }
    if (kind == MTVM_BLOCK_FREE) {
      *largest = *largest < at(offset)->size ? at(offset)->size : *largest;
      if (at(offset)->size >= size) {
        return offset;
      }
    }
    offset += at(offset)->size;
  }
  return offset;
}

void *mtvm_memory_alloc(size_t nbytes, mtvm_block_kind_t kind) {
  const uint32_t size = block_size(nbytes);
  uint32_t largest = memory.stack - memory.top;
  const uint32_t offset = find_free(size, &largest);
  if (offset > memory.top) {
    return NULL;
  }
  if (offset < memory.top) {
    const uint32_t rest = at(offset)->size - size;
    if (rest > 0) {
      set_block(offset + size, rest, MTVM_BLOCK_FREE);
    }
  } else if (size > memory.stack - memory.top) {
    (void)no_room(nbytes, largest);
    return NULL;
  } else {
    memory.top += size;
    note_free();
  }
  set_block(offset, size, kind);
  return memory.base + offset + MTVM_ALIGN;
}

/* Find the block at the bottom that holds `data`.
 *
 * Returns its kind with `found` set to its offset. Returns MTVM_BLOCK_FREE for no block, -1 when a header was
 * overwritten. */
static int find_block(const void *data, uint32_t *found) {
  const uintptr_t distance = (uintptr_t)data - (uintptr_t)memory.base;
  uint32_t offset = 0;
  while (offset < memory.top) {
    const int kind = block_kind(offset, memory.top);
    if (kind < 0) {
      return -1;
    }
    if (distance >= offset + MTVM_ALIGN && distance < offset + at(offset)->size) {
      *found = offset;
      return kind;
    }
    offset += at(offset)->size;
  }
  return MTVM_BLOCK_FREE;
}

/* Lower memory.top below the free blocks at the top. Returns 0, or -1 with the error set. */
static int trim(void) {
  uint32_t offset = 0;
  while (offset < memory.top) {
    const int kind = block_kind(offset, memory.top);
    if (kind < 0 || (kind == MTVM_BLOCK_FREE && join(offset) != 0)) {
      return -1;
    }
    if (kind == MTVM_BLOCK_FREE && offset + at(offset)->size == memory.top) {
      memory.top = offset;
    } else {
      offset += at(offset)->size;
    }
  }
  return 0;
}

int mtvm_memory_free(const void *data, mtvm_block_kind_t kind) {
  uint32_t offset = 0;
  const int found = find_block(data, &offset);
  if (found < 0) {
    return -1;
  }
  if (found != (int)kind || data != memory.base + offset + MTVM_ALIGN) {
    return mtvm_error_hex("not an allocation:", (uintptr_t)data);
  }
  set_block(offset, at(offset)->size, MTVM_BLOCK_FREE);
  return trim();
}

int mtvm_memory_check(const void *data, size_t nbytes) {
  uint32_t offset = 0;
  const int kind = find_block(data, &offset);
  if (kind < 0) {
    return -1;
  }
  if ((kind == MTVM_BLOCK_DATA || kind == MTVM_BLOCK_TENSOR) &&
      nbytes <= (uintptr_t)(memory.base + offset + at(offset)->size) - (uintptr_t)data) {
    return 0;
  }
  return mtvm_error_hex("no allocation holds the tensor at", (uintptr_t)data);
}

int mtvm_kernel_call(TVMBackendPackedCFunc kernel, TVMValue *args, int *codes, int count, TVMValue *result,
                     int *result_code) {
  const uint32_t mark = memory.stack;
  result->v_int64 = 0;
  *result_code = kTVMNullptr;
  mtvm_error_clear();
  const int failed = kernel(args, codes, count, result, result_code, NULL);
  memory.stack = mark;
  if (failed == 0) {
    return 0;
  }
  return mtvm_error_text()[0] != '\0' ? -1 : mtvm_want("function result", 0, failed);
}

void *TVMBackendAllocWorkspace(int device_type, int device_id, uint64_t nbytes, int dtype_code_hint,
                               int dtype_bits_hint) {
  const size_t want = nbytes > MTVM_MAX_BYTES ? MTVM_MAX_BYTES : (size_t)nbytes;
  const uint32_t size = block_size(want);
  (void)device_type;
  (void)device_id;
  (void)dtype_code_hint;
  (void)dtype_bits_hint;
  if (size > memory.stack - memory.top) {
    (void)no_room(want, memory.stack - memory.top);
    return NULL;
  }
  memory.stack -= size;
  note_free();
  set_block(memory.stack, size, MTVM_BLOCK_STACK);
  return memory.base + memory.stack + MTVM_ALIGN;
}

int TVMBackendFreeWorkspace(int device_type, int device_id, void *data) {
  (void)device_type;
  (void)device_id;
  if (memory.stack >= memory.size || data != memory.base + memory.stack + MTVM_ALIGN) {
    return mtvm_error_hex("not the last workspace:", (uintptr_t)data);
  }
  if (block_kind(memory.stack, memory.size) != MTVM_BLOCK_STACK) {
    return -1;
  }
  memory.stack += at(memory.stack)->size;
  return 0;
}
