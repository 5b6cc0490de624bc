/* SPDX-License-Identifier: Apache-2.0 */
/* All sizes of TVM's own runtime, for TVM 0.8 to 0.18. Override one with -D in the flags of all files. The
 * size of the packet buffer is that of the device runtime, because the receive buffer of the device port must
 * fit both. */
#ifndef CRT_CONFIG_H
#define CRT_CONFIG_H

#include <microtvm/config.h>

#define TVM_CRT_MAX_PACKET_SIZE_BYTES MTVM_PACKET_BUFFER_BYTES

/* 0: errors, 1: warnings, 2: information, 3: debugging. */
#ifndef TVM_CRT_LOG_LEVEL
#define TVM_CRT_LOG_LEVEL 0
#endif

#ifndef TVM_CRT_DEBUG
#define TVM_CRT_DEBUG 0
#endif

#ifndef TVM_CRT_MAX_NDIM
#define TVM_CRT_MAX_NDIM 6
#endif

/* Maximum of inputs, outputs and workspaces of a model, and of arguments of a kernel. Each costs 24 bytes of
 * stack on 32-bit machines. */
#ifndef TVM_CRT_MAX_ARGS
#define TVM_CRT_MAX_ARGS 30
#endif

/* Bytes for the functions of the runtime, of executors and of the firmware, with their names. */
#ifndef TVM_CRT_GLOBAL_FUNC_REGISTRY_SIZE_BYTES
#define TVM_CRT_GLOBAL_FUNC_REGISTRY_SIZE_BYTES 512
#endif

/* The system library and one executor. */
#ifndef TVM_CRT_MAX_REGISTERED_MODULES
#define TVM_CRT_MAX_REGISTERED_MODULES 2
#endif

#ifndef TVM_CRT_MAX_STRLEN_DLTYPE
#define TVM_CRT_MAX_STRLEN_DLTYPE 10
#endif

#ifndef TVM_CRT_MAX_STRLEN_FUNCTION_NAME
#define TVM_CRT_MAX_STRLEN_FUNCTION_NAME 120
#endif

#ifndef TVM_CRT_MAX_STRLEN_PARAM_NAME
#define TVM_CRT_MAX_STRLEN_PARAM_NAME 80
#endif

#endif
