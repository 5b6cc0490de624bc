/* SPDX-License-Identifier: Apache-2.0 */
/* The main program of standalone firmware, for both runtimes. */
#ifndef MTVM_APPS_RUN_ONCE_H
#define MTVM_APPS_RUN_ONCE_H

/* Run the model once on its sample and print the outputs. Returns the value that main returns: 0, or 1 on an
 * error. */
int mtvm_run_once(void);

#endif
