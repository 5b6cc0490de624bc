/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols that the generated files of a project define.
 *
 * Every project: model_config.c defines the memory, the firmware id and the names below.
 *
 * A standalone project: model_input.c defines the samples, and one file defines mtvm_model_open,
 * mtvm_model_input, mtvm_model_output and mtvm_model_run. For the packed interface that file is
 * apps/model_packed.c, unchanged. For the C interface it is a generated model_io.c. It has a static, aligned
 * buffer for every input and output, a table of the buffers, and a call of tvmgen_<name>_run. */
#ifndef MTVM_APP_H
#define MTVM_APP_H

#include <dlpack/dlpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* model_config.c: the memory. The size of the packet buffer is MTVM_PACKET_BUFFER_BYTES of microtvm/config.h;
 * the size of the workspace follows from the archive's metadata. */
extern uint8_t mtvm_workspace[];
extern const size_t mtvm_workspace_size;
extern uint8_t mtvm_packet_buffer[];
extern const size_t mtvm_packet_buffer_size;

/* Identifies this firmware: a digest of its model and its options. */
extern const uint32_t mtvm_firmware_id;

/* Names of the inputs and outputs in the trained model, in the order of the generated code. Each list ends
 * with NULL. The generated code uses names of its own, and two of them may be equal. */
extern const char *const mtvm_input_names[];
extern const char *const mtvm_output_names[];

/* The application: send one line of text to the host. Ports use this function for printf and for reports of
 * faults. */
void mtvm_app_say(const char *text);

/* model_input.c: the data that the model runs on, one entry for each input, in the order of
 * mtvm_input_names. */
typedef struct {
  const char *name;
  const void *data;
  size_t nbytes;
} mtvm_sample_t;

extern const char mtvm_model_name[]; /* "default" for most archives */
extern const mtvm_sample_t mtvm_samples[];
extern const size_t mtvm_sample_count;

/* An input or output of the model. `data` is in the memory of the model. */
typedef struct {
  DLDataType dtype;
  size_t nbytes;
  void *data;
} mtvm_model_tensor_t;

/* Prepare the model. The caller has set up the workspace. Returns 0, or -1 with mtvm_error_text() set. */
int mtvm_model_open(void);

/* Describe an input or output. Returns false when `index` is too large. */
bool mtvm_model_input(size_t index, mtvm_model_tensor_t *tensor);
bool mtvm_model_output(size_t index, mtvm_model_tensor_t *tensor);

/* Run the model. Returns 0, or the model's error code; mtvm_error_text() may then be set. */
int mtvm_model_run(void);

#ifdef __cplusplus
}
#endif

#endif
