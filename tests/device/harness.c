/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "harness.h"

#include <microtvm/platform.h>
#include <microtvm/server.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint8_t harness_nonce = 0x5a;
double harness_seconds = -1;
int harness_timer_error = 0;

static mtvm_server_t server;
static uint8_t *packet_buffer;
static uint8_t *workspace;
static uint8_t output[1 << 16];
static size_t output_used;
static struct timespec started;

static void collect(void *context, const uint8_t *data, size_t n) {
  (void)context;
  if (n > sizeof output - output_used) {
    abort(); /* longer than any reply */
  }
  memcpy(output + output_used, data, n);
  output_used += n;
}

/* The buffers have exactly the requested sizes, so that a sanitizer detects an access to the first byte after
 * them. */
int harness_reset(size_t packet_buffer_size, size_t workspace_size) {
  static const char *const input_names[64] = {"data:0", "factor"};
  mtvm_server_config_t config;
  memset(&config, 0, sizeof config);
  config.input_names = input_names;
  free(packet_buffer);
  free(workspace);
  packet_buffer = malloc(packet_buffer_size);
  workspace = malloc(workspace_size);
  config.packet_buffer = packet_buffer;
  config.packet_buffer_size = packet_buffer_size;
  config.workspace = workspace;
  config.workspace_size = workspace_size;
  config.write = collect;
  config.context = NULL;
  output_used = 0;
  return mtvm_server_init(&server, &config);
}

void harness_feed(const uint8_t *data, size_t n) { mtvm_server_feed(&server, data, n); }

const uint8_t *harness_output(size_t *n) {
  *n = output_used;
  return output;
}

void harness_clear(void) { output_used = 0; }

void TVMPlatformAbort(tvm_crt_error_t code) {
  (void)code;
  abort();
}

tvm_crt_error_t TVMPlatformInitialize(void) { return kTvmErrorNoError; }

tvm_crt_error_t TVMPlatformTimerStart(void) {
  clock_gettime(CLOCK_MONOTONIC, &started);
  return (tvm_crt_error_t)harness_timer_error;
}

tvm_crt_error_t TVMPlatformTimerStop(double *seconds) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  *seconds = harness_seconds;
  if (harness_seconds < 0) {
    *seconds = (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) * 1e-9;
  }
  return kTvmErrorNoError;
}

tvm_crt_error_t TVMPlatformGenerateRandom(uint8_t *buffer, size_t n) {
  memset(buffer, harness_nonce, n);
  return kTvmErrorNoError;
}
