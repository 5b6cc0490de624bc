/* SPDX-License-Identifier: Apache-2.0 */
/* mtvm.about(index): what the host tools ask of a firmware. For the apps that answer a host. */
#ifndef MTVM_APPS_ABOUT_H
#define MTVM_APPS_ABOUT_H

/* 0, or -1 when the function cannot be registered. */
int mtvm_about_register(void);

#endif
