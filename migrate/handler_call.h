/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Calls of a guest's migration handler through its mailbox: doc/HANDLER.md 3 and 4. What comes back
 * is a guest's word, and is checked like one.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/handler.h"
#include "base/gpa.h"
#include "migrate/mirror.h"

struct mig_handler_page {
	struct gpa at;
	uint32_t offset; /* in the window */
	uint32_t len;    /* PAGE_LEN, or 0: a page of zeros */
	uint64_t epoch;
	uint8_t tag[HANDLER_TAG_LEN];
};

/* One command without pages. result may be NULL. -EPERM: the owner does not allow it; -EBADMSG:
 * something is not as the other handler made it; -EPROTO: a handler of another kind. */
int must_check mig_handler_call(struct mig_mirror *m, enum handler_command command, const void *arg,
				size_t len, uint8_t result[HANDLER_RESULT_LEN], struct err *e);
/* EXPORT or IMPORT of n pages, at most HANDLER_BATCH. One thread a vCPU. */
int must_check mig_handler_pages(struct mig_mirror *m, unsigned vcpu, enum handler_command command,
				 struct mig_handler_page *v, uint32_t n, struct err *e);
/* "STALE: not newer than what is here (repeated, or out of order)" */
const char *mig_handler_words(uint32_t status);
