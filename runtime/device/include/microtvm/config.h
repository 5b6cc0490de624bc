/* SPDX-License-Identifier: Apache-2.0 */
/* All sizes of the device runtime. Override one with -D in the flags of all files: structures that several
 * files share depend on the sizes. */
#ifndef MTVM_CONFIG_H
#define MTVM_CONFIG_H

#include <stdint.h>

/* Hosts of TVM 0.12 and later have a buffer of 2048 bytes. They hang when a device reports a larger one. */
#define MTVM_LARGEST_PACKET 2048

/* Enough for InitServer, an exception, or a call with a few arguments. */
#define MTVM_SMALLEST_PACKET 256

/* The only packet buffer: requests are received and decoded in it. Replies are streamed. */
#ifndef MTVM_PACKET_BUFFER_BYTES
#define MTVM_PACKET_BUFFER_BYTES 2048
#endif

/* Bytes collected before the server calls the port's write function. */
#ifndef MTVM_SEND_BUFFER_BYTES
#if UINTPTR_MAX > 0xffffffffu
#define MTVM_SEND_BUFFER_BYTES 2304 /* a process: one system call for most replies */
#else
#define MTVM_SEND_BUFFER_BYTES 64
#endif
#endif

/* Bytes that the main loop reads from the link in one call. The buffer is on its stack. */
#ifndef MTVM_RECEIVE_BYTES
#if UINTPTR_MAX > 0xffffffffu
#define MTVM_RECEIVE_BYTES 4096
#else
#define MTVM_RECEIVE_BYTES 64
#endif
#endif

/* The alignment of every block of memory. Vector code of 64-bit machines loads up to 64 bytes in one
 * instruction; Cortex-M55 and smaller RISC-V cores load 16. */
#ifndef MTVM_ALIGN
#if UINTPTR_MAX > 0xffffffffu
#define MTVM_ALIGN 64
#else
#define MTVM_ALIGN 16
#endif
#endif

#ifndef MTVM_MAX_NDIM
#define MTVM_MAX_NDIM 8
#endif

/* Maximum of arguments of one call. They are decoded in the packet buffer, so a larger number costs no
 * memory. */
#ifndef MTVM_MAX_ARGS
#define MTVM_MAX_ARGS 256
#endif

/* Maximum of AOT executors and time evaluators that exist at the same time. */
#ifndef MTVM_MAX_OBJECTS
#define MTVM_MAX_OBJECTS 8
#endif

/* Maximum of functions that the firmware registers with TVMFuncRegisterGlobal. One of them is mtvm.about. */
#ifndef MTVM_MAX_GLOBALS
#define MTVM_MAX_GLOBALS 5
#endif

/* Maximum of runs of a function between two readings of the timer. More runs would exceed the timeout of any
 * host. */
#ifndef MTVM_MAX_RUNS
#define MTVM_MAX_RUNS 1000000000
#endif

/* Size of the last error message. Longer messages are truncated. */
#ifndef MTVM_ERROR_BYTES
#define MTVM_ERROR_BYTES 192
#endif

/* Number of storage ids to search when a kernel receives a constant of the model (archives of TVM 0.8 and
 * 0.9). */
#ifndef MTVM_MAX_STORAGE_IDS
#define MTVM_MAX_STORAGE_IDS 256
#endif

/* The largest size of any object. It fits into an int32_t on every machine. */
#define MTVM_MAX_BYTES 0x7fffffff

#ifdef __cplusplus
#define MTVM_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define MTVM_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

MTVM_STATIC_ASSERT(MTVM_PACKET_BUFFER_BYTES >= MTVM_SMALLEST_PACKET, "MTVM_PACKET_BUFFER_BYTES must hold a request");
MTVM_STATIC_ASSERT(MTVM_PACKET_BUFFER_BYTES <= MTVM_LARGEST_PACKET, "MTVM_PACKET_BUFFER_BYTES must fit every host");
MTVM_STATIC_ASSERT(MTVM_SEND_BUFFER_BYTES >= 16, "MTVM_SEND_BUFFER_BYTES must hold the head of a packet");
MTVM_STATIC_ASSERT(MTVM_SEND_BUFFER_BYTES <= 0xffff, "MTVM_SEND_BUFFER_BYTES must fit in 16 bits");
MTVM_STATIC_ASSERT(MTVM_ALIGN >= 16 && (MTVM_ALIGN & (MTVM_ALIGN - 1)) == 0,
                   "MTVM_ALIGN must be a power of two, at least 16");
MTVM_STATIC_ASSERT(MTVM_MAX_OBJECTS >= 1 && MTVM_MAX_OBJECTS <= 250, "MTVM_MAX_OBJECTS must fit in a handle");
MTVM_STATIC_ASSERT(MTVM_MAX_NDIM >= 1 && MTVM_MAX_ARGS >= 8, "MTVM_MAX_NDIM or MTVM_MAX_ARGS is too small");
MTVM_STATIC_ASSERT(MTVM_MAX_RUNS >= 1 && MTVM_MAX_RUNS <= 1000000000, "MTVM_MAX_RUNS must be 1 to 1000000000");
MTVM_STATIC_ASSERT(MTVM_ERROR_BYTES >= 64, "MTVM_ERROR_BYTES must hold a readable message");
MTVM_STATIC_ASSERT(MTVM_ERROR_BYTES <= MTVM_SMALLEST_PACKET - 32, "MTVM_ERROR_BYTES must fit in every packet buffer");

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Big-endian machines are not supported: the wire is little-endian, and its numbers are copied unchanged."
#endif

#endif
