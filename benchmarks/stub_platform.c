/* SPDX-License-Identifier: Apache-2.0 */
/* Empty platform functions and an empty system library, to measure the size of the device runtime alone. */
#include <microtvm/app.h>
#include <microtvm/config.h>
#include <microtvm/platform.h>
#include <tvm/runtime/crt/module.h>

uint8_t mtvm_workspace[64];
const size_t mtvm_workspace_size = sizeof mtvm_workspace;
uint8_t mtvm_packet_buffer[MTVM_PACKET_BUFFER_BYTES];
const size_t mtvm_packet_buffer_size = sizeof mtvm_packet_buffer;
const uint32_t mtvm_firmware_id = 1;
const char *const mtvm_input_names[] = {NULL};
const char *const mtvm_output_names[] = {NULL};

/* Volatile, so that the compiler cannot remove the code that reads and writes them. */
static volatile uint8_t port;
static volatile double timer;

tvm_crt_error_t TVMPlatformInitialize(void) { return kTvmErrorNoError; }

void TVMPlatformAbort(tvm_crt_error_t code) {
  for (;;) {
    port = (uint8_t)code;
  }
}

tvm_crt_error_t TVMPlatformTimerStart(void) {
  timer = 0;
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformTimerStop(double *seconds) {
  *seconds = timer;
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  for (size_t i = 0; i < n; i++) {
    buffer[i] = port;
  }
  return kTvmErrorNoError;
}

size_t mtvm_platform_read(uint8_t *data, size_t capacity) {
  *data = port;
  return capacity < 1 ? 0 : 1;
}

bool mtvm_platform_write(const uint8_t *data, size_t n) {
  for (size_t i = 0; i < n; i++) {
    port = data[i];
  }
  return true;
}

const TVMModule *TVMSystemLibEntryPoint(void) {
  static const TVMFuncRegistry registry = {"\0\0", NULL};
  static const TVMModule module = {&registry};
  return &module;
}

size_t mtvm_platform_stack_size(void) { return 0; }

size_t mtvm_platform_stack_used(void) { return 0; }
