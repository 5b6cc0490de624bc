/* SPDX-License-Identifier: Apache-2.0 */
/* Standalone firmware. */
#include "run_once.h"

int main(void) { return mtvm_run_once(); }
