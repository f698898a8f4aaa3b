/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chan/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken has a path, or a host; what is refused leaves the output alone and says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct chan_uri u;
	char *text = malloc(size + 1);
	struct err e = { 0 };

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&u, 0x7e, sizeof(u));
	if (chan_uri_parse(text, &u, &e) < 0) {
		if (e.code == 0 || !e.msg[0] || u.port != 0x7e7e)
			abort();
	} else if (!memchr(u.host, '\0', sizeof(u.host)) || !memchr(u.path, '\0', sizeof(u.path)) ||
		   !u.host[0] == !u.path[0]) {
		abort();
	}
	free(text);
	return 0;
}
