/* SPDX-License-Identifier: Apache-2.0 */
/* The platform functions that TVM's own runtime needs and device ports do not provide: memory from the
 * workspace, and formatting of messages. */
#include <microtvm/block.h>
#include <microtvm/config.h>
#include <microtvm/error.h>
#include <microtvm/memory.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <tvm/runtime/c_runtime_api.h>
#include <tvm/runtime/crt/platform.h>

#define MESSAGE_BYTES 80

/* The header of every block. The blocks fill the workspace from its begin to its end. */
typedef struct {
  uint32_t size; /* of header and data, a multiple of MTVM_ALIGN */
  uint32_t is_free;
} block_t;

static struct {
  uint8_t *base;
  uint32_t size;
  uint32_t peak; /* the highest end of an allocated block */
} memory;

static block_t *at(uint32_t offset) { return (block_t *)(void *)(memory.base + offset); }

static void set_block(uint32_t offset, uint32_t size, bool is_free) {
  at(offset)->size = size;
  at(offset)->is_free = is_free;
}

int mtvm_memory_init(uint8_t *data, size_t size) {
  const size_t skip = MTVM_BLOCK_SKIP(data);
  size = size < MTVM_MAX_BYTES ? size : MTVM_MAX_BYTES;
  if (size < skip + MTVM_BLOCK_LEAST) {
    TVMAPISetLastError("the workspace is too small for a block");
    return -1;
  }
  memory.base = data + skip;
  memory.size = MTVM_BLOCK_WHOLE(size - skip);
  set_block(0, memory.size, true);
  return 0;
}

size_t mtvm_memory_peak(void) { return memory.peak; }

const char *mtvm_error_text(void) { return TVMGetLastError(); }

/* Join a free block with the free blocks after it. */
static void join(uint32_t offset) {
  uint32_t next = offset + at(offset)->size;
  while (next < memory.size && at(next)->is_free) {
    at(offset)->size += at(next)->size;
    next = offset + at(offset)->size;
  }
}

static tvm_crt_error_t no_room(size_t want, uint32_t largest) {
  char text[MESSAGE_BYTES];
  (void)snprintf(text, sizeof text, "out of workspace memory, bytes: expected %lu, got %lu", (unsigned long)want,
                 largest == 0 ? 0ul : (unsigned long)(largest - MTVM_ALIGN));
  TVMAPISetLastError(text);
  return kTvmErrorPlatformNoMemory;
}

tvm_crt_error_t TVMPlatformMemoryAllocate(size_t num_bytes, DLDevice device, void **data) {
  uint32_t largest = 0;
  (void)device;
  *data = NULL;
  for (uint32_t offset = 0; offset < memory.size; offset += at(offset)->size) {
    if (!at(offset)->is_free) {
      continue;
    }
    join(offset);
    largest = at(offset)->size > largest ? at(offset)->size : largest;
    if (at(offset)->size - MTVM_ALIGN >= num_bytes) {
      const uint32_t whole = at(offset)->size;
      const uint32_t size = MTVM_BLOCK_BYTES(num_bytes);
      if (size < whole) {
        set_block(offset + size, whole - size, true);
      }
      set_block(offset, size, false);
      memory.peak = offset + size > memory.peak ? offset + size : memory.peak;
      *data = memory.base + offset + MTVM_ALIGN;
      return kTvmErrorNoError;
    }
  }
  return no_room(num_bytes, largest);
}

tvm_crt_error_t TVMPlatformMemoryFree(void *data, DLDevice device) {
  (void)device;
  for (uint32_t offset = 0; offset < memory.size; offset += at(offset)->size) {
    if (memory.base + offset + MTVM_ALIGN == (uint8_t *)data && !at(offset)->is_free) {
      at(offset)->is_free = true;
      return kTvmErrorNoError;
    }
  }
  TVMAPISetLastError("not an allocation, or already freed");
  return kTvmErrorPlatformMemoryManagerInitialized;
}

size_t TVMPlatformFormatMessage(char *text, size_t capacity, const char *format, va_list arguments) {
  const int length = vsnprintf(text, capacity, format, arguments);
  if (length < 0) {
    return 0;
  }
  return (size_t)length < capacity ? (size_t)length : capacity - 1;
}
