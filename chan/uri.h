/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a channel leads, from its text. Pure: no look-ups, no files. */

#include <stdint.h>

#include "base/err.h"

enum chan_kind { CHAN_KIND_TLS, CHAN_KIND_UNIX, CHAN_KIND_FILE };

#define CHAN_HOST_MAX 253u      /* RFC 1035 */
#define CHAN_UNIX_PATH_MAX 107u /* sun_path less its NUL */
#define CHAN_PATH_MAX 4095u

struct chan_uri {
	enum chan_kind kind;
	char host[CHAN_HOST_MAX + 1]; /* tls: a name or an address, brackets removed */
	uint16_t port;
	char path[CHAN_PATH_MAX + 1]; /* unix, file */
};

/* -EINVAL, with what is wrong and how it should look. */
int must_check chan_uri_parse(const char *text, struct chan_uri *out, struct err *e);
