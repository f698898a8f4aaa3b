/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A directory of this process's own for things that are gone afterwards. */

#include "base/err.h"

struct scratch {
	char path[128]; /* "" : none */
};

int must_check scratch_make(struct scratch *s, struct err *e);
/* With all that is in it; what cannot be removed stays. */
void scratch_remove(struct scratch *s);
