/* SPDX-License-Identifier: Apache-2.0 */
/* The work of standalone firmware, for both runtimes. */
#ifndef MTVM_APPS_RUN_ONCE_H
#define MTVM_APPS_RUN_ONCE_H

/* Run the model once on its sample and report. Returns the value for main to return. */
int mtvm_run_once(void);

#endif
