/* SPDX-License-Identifier: Apache-2.0 */
/* The device function mtvm.about(index) of host-driven firmware. It returns an int64:
 *
 *   index 0   the id of the firmware (mtvm_firmware_id)
 *   index 1   the largest stack use so far, in bytes
 *   index 2   the size of the stack, in bytes
 *   index 3   the largest workspace use so far, in bytes
 *   index 4   the size of the workspace, in bytes */
#ifndef MTVM_APPS_ABOUT_H
#define MTVM_APPS_ABOUT_H

/* Register the function. Returns 0, or -1 with mtvm_error_text() set. */
int mtvm_about_register(void);

#endif
