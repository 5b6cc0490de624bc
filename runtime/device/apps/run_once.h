/* SPDX-License-Identifier: Apache-2.0 */
/* What the firmware without a host shares, whatever runtime runs its model. */
#ifndef MTVM_APPS_RUN_ONCE_H
#define MTVM_APPS_RUN_ONCE_H

/* Run the model on its sample and report. Returns what main returns. */
int mtvm_run_once(void);

#endif
