/* SPDX-License-Identifier: Apache-2.0 */
/* Every size of the device runtime. Override them with -D, and for all files alike: structures that several
 * files share depend on them. */
#ifndef MTVM_CONFIG_H
#define MTVM_CONFIG_H

#include <stdint.h>

/* Hosts of TVM 0.12 and later have a buffer of 2048 bytes and hang on a device that offers more. */
#define MTVM_LARGEST_PACKET 2048

/* What InitServer, an exception and a call with a few arguments need. */
#define MTVM_SMALLEST_PACKET 256

/* The only packet buffer: requests are received and decoded in it, replies are streamed. */
#ifndef MTVM_PACKET_BUFFER_BYTES
#define MTVM_PACKET_BUFFER_BYTES 2048
#endif

/* Bytes collected before the port's write function is called. */
#ifndef MTVM_SEND_BUFFER_BYTES
#if UINTPTR_MAX > 0xffffffffu
#define MTVM_SEND_BUFFER_BYTES 2304 /* a process: one system call for most replies */
#else
#define MTVM_SEND_BUFFER_BYTES 64
#endif
#endif

/* Bytes that the main loop takes from the link at once; they are on its stack. */
#ifndef MTVM_RECEIVE_BYTES
#if UINTPTR_MAX > 0xffffffffu
#define MTVM_RECEIVE_BYTES 4096
#else
#define MTVM_RECEIVE_BYTES 64
#endif
#endif

/* Every block of memory starts on a multiple of this. Vector code of a 64-bit machine loads up to 64 bytes
 * at once; Cortex-M55 and smaller RISC-V load 16. */
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

/* Arguments of one call in a packet. They are decoded in the packet buffer, so a larger number costs nothing. */
#ifndef MTVM_MAX_ARGS
#define MTVM_MAX_ARGS 256
#endif

/* AOT executors and time evaluators that exist at once. */
#ifndef MTVM_MAX_OBJECTS
#define MTVM_MAX_OBJECTS 8
#endif

/* Functions that the firmware registers with TVMFuncRegisterGlobal; one of them is mtvm.about. */
#ifndef MTVM_MAX_GLOBALS
#define MTVM_MAX_GLOBALS 5
#endif

/* Runs of a function between two readings of the timer. More would outlast any host's patience. */
#ifndef MTVM_MAX_RUNS
#define MTVM_MAX_RUNS 1000000000
#endif

/* The text of the last error; longer ones are cut. */
#ifndef MTVM_ERROR_BYTES
#define MTVM_ERROR_BYTES 192
#endif

/* Storage ids that are tried when a kernel is given a constant of the model (archives of TVM 0.8 and 0.9). */
#ifndef MTVM_MAX_STORAGE_IDS
#define MTVM_MAX_STORAGE_IDS 256
#endif

/* Largest size of anything: it fits in an int32_t, whatever size_t is. */
#define MTVM_MAX_BYTES 0x7fffffff

#ifdef __cplusplus
#define MTVM_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define MTVM_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

MTVM_STATIC_ASSERT(MTVM_PACKET_BUFFER_BYTES >= MTVM_SMALLEST_PACKET, "MTVM_PACKET_BUFFER_BYTES must hold a request");
MTVM_STATIC_ASSERT(MTVM_PACKET_BUFFER_BYTES <= MTVM_LARGEST_PACKET, "MTVM_PACKET_BUFFER_BYTES must suit every host");
MTVM_STATIC_ASSERT(MTVM_SEND_BUFFER_BYTES >= 16, "MTVM_SEND_BUFFER_BYTES must hold the head of a packet");
MTVM_STATIC_ASSERT(MTVM_SEND_BUFFER_BYTES <= 0xffff, "MTVM_SEND_BUFFER_BYTES must fit in 16 bits");
MTVM_STATIC_ASSERT(MTVM_ALIGN >= 16 && (MTVM_ALIGN & (MTVM_ALIGN - 1)) == 0,
                   "MTVM_ALIGN must be a power of two from 16 on");
MTVM_STATIC_ASSERT(MTVM_MAX_OBJECTS >= 1 && MTVM_MAX_OBJECTS <= 250, "MTVM_MAX_OBJECTS must fit in a handle");
MTVM_STATIC_ASSERT(MTVM_MAX_NDIM >= 1 && MTVM_MAX_ARGS >= 8, "MTVM_MAX_NDIM or MTVM_MAX_ARGS is too small");
MTVM_STATIC_ASSERT(MTVM_MAX_RUNS >= 1 && MTVM_MAX_RUNS <= 1000000000,
                   "MTVM_MAX_RUNS must suit the arithmetic with it");
MTVM_STATIC_ASSERT(MTVM_ERROR_BYTES >= 64, "MTVM_ERROR_BYTES must hold an error that can be read");
MTVM_STATIC_ASSERT(MTVM_ERROR_BYTES <= MTVM_SMALLEST_PACKET - 32, "MTVM_ERROR_BYTES must fit in every packet buffer");

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "The wire is little-endian, and numbers are read from it as they are"
#endif

#endif
