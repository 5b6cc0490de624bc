/* SPDX-License-Identifier: Apache-2.0 */
/* Every size of TVM's own runtime, for all of its versions from 0.8 to 0.18. Override them with -D, and for
 * all files alike. The packet buffer is the device runtime's, so that the port's receive ring suits both. */
#ifndef CRT_CONFIG_H
#define CRT_CONFIG_H

#include <microtvm/config.h>

#define TVM_CRT_MAX_PACKET_SIZE_BYTES MTVM_PACKET_BUFFER_BYTES

/* 0 to 3: errors, warnings, information, debugging. */
#ifndef TVM_CRT_LOG_LEVEL
#define TVM_CRT_LOG_LEVEL 0
#endif

#ifndef TVM_CRT_DEBUG
#define TVM_CRT_DEBUG 0
#endif

#ifndef TVM_CRT_MAX_NDIM
#define TVM_CRT_MAX_NDIM 6
#endif

/* Inputs, outputs and workspaces of a model, or arguments of a kernel. Each costs 24 bytes of stack where
 * pointers have 32 bits. */
#ifndef TVM_CRT_MAX_ARGS
#define TVM_CRT_MAX_ARGS 30
#endif

/* Functions of the runtime, of executors and of the firmware, with their names. */
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
