/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The part of a launch that a boot through firmware does differently. */

#include "base/err.h"
#include "vmm/vm.h"

/* The image and all that it is to find, in the shared face. */
int must_check vmm_firmware_load(struct vm *vm, const struct vm_firmware *fw, struct err *e);
/* Encrypt what is measured: the image, then the hashes. */
int must_check vmm_firmware_encrypt(struct vm *vm, const struct vm_firmware *fw, struct err *e);
