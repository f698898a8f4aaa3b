/* SPDX-License-Identifier: Apache-2.0 */

/* Requests of strangers to a broker that knows one guest. Nothing may be granted: no chain here is
 * one of a root that it trusts. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct broker *broker_at(const char *dir)
{
	struct broker_guest g = { .name = "web", .policy = 1, .ndigest = 1, .nroot = 1 };
	struct broker *b = NULL;
	struct err e = { 0 };

	if (broker_open(dir, NULL, &b, &e) < 0 || broker_guest_put(b, &g, &e) < 0)
		abort();
	return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char dir[] = "/tmp/sevmig-broker.XXXXXX";
	static struct broker *b;
	static unsigned runs;
	char *answer = NULL, log[64];
	struct err e = { 0 };

	if (!b && mkdtemp(dir))
		b = broker_at(dir);
	if (!b || broker_answer(b, "a stranger", (const char *)data, size, &answer, &e) < 0)
		abort();
	if (!answer || strncmp(answer, "{\"error\":", 9) != 0)
		abort();
	free(answer);
	snprintf(log, sizeof(log), "%s/audit.log", dir);
	if (++runs % 1024 == 0)
		remove(log);
	return 0;
}
