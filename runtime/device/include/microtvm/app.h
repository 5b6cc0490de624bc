/* SPDX-License-Identifier: Apache-2.0 */
/* What a project adds to the device runtime: generated files that define these symbols.
 *
 * Every project: model_config.c, with the memory and the names below.
 * A standalone project: model_input.c, with the input below, and one file that implements mtvm_model_open,
 * mtvm_model_input, mtvm_model_output and mtvm_model_run. For an archive with the packed interface that is
 * apps/model_packed.c as it stands. For one with the C interface it is a generated model_io.c, which has a
 * static, aligned buffer for every input and output, a table of them, and a call of tvmgen_<name>_run. */
#ifndef MTVM_APP_H
#define MTVM_APP_H

#include <dlpack/dlpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* model_config.c. The sizes of both: see microtvm/config.h and the archive's metadata. */
extern uint8_t mtvm_workspace[];
extern const size_t mtvm_workspace_size;
extern uint8_t mtvm_packet_buffer[];
extern const size_t mtvm_packet_buffer_size;

/* Tells this firmware from others: a digest of its model and its options. */
extern const uint32_t mtvm_firmware_id;

/* Names of the model's inputs and outputs, in the order of its code, as the trained model has them; each list ends
 * with NULL. Generated code has names of its own, in which two may be the same. */
extern const char *const mtvm_input_names[];
extern const char *const mtvm_output_names[];

/* The application: show a line of text to whoever listens. For ports: printf, faults. */
void mtvm_app_say(const char *text);

/* model_input.c: what the model is run on, an entry for every input, in the order of mtvm_input_names. */
typedef struct {
  const char *name;
  const void *data;
  size_t nbytes;
} mtvm_sample_t;

extern const char mtvm_model_name[]; /* "default" for most archives */
extern const mtvm_sample_t mtvm_samples[];
extern const size_t mtvm_sample_count;

/* An input or output of the model. */
typedef struct {
  DLDataType dtype;
  size_t nbytes;
  void *data;
} mtvm_model_tensor_t;

/* Make the model ready. The memory for kernels is set up before. 0, or -1 with mtvm_error_text() set. */
int mtvm_model_open(void);

/* False past the last one. */
bool mtvm_model_input(size_t index, mtvm_model_tensor_t *tensor);
bool mtvm_model_output(size_t index, mtvm_model_tensor_t *tensor);

/* 0, or what the model returned; mtvm_error_text() may say more. */
int mtvm_model_run(void);

#ifdef __cplusplus
}
#endif

#endif
