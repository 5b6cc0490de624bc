/* SPDX-License-Identifier: Apache-2.0 */
/* The device function mtvm.about(index): the id of the firmware, and its peak use of stack and workspace. For
 * applications that answer a host. */
#ifndef MTVM_APPS_ABOUT_H
#define MTVM_APPS_ABOUT_H

/* Register the function. 0, or -1 when it cannot be registered. */
int mtvm_about_register(void);

#endif
