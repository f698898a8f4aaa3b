/* SPDX-License-Identifier: Apache-2.0 */

/* What one core can seal (bench/seal.h), over MIB of random memory. Prints one JSON object. */

#include "bench/seal.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>

static bool seal_all(const uint8_t *mem, size_t len)
{
	struct seal *s = seal_new();
	uint8_t out[SEAL_PAGE];
	bool ok = s;

	for (size_t at = 0; ok && at < len; at += SEAL_PAGE)
		ok = seal_page(s, mem + at, out);
	seal_free(s);
	return ok;
}

int main(int argc, char **argv)
{
	size_t len = (argc > 1 ? strtoull(argv[1], NULL, 0) : 512) << 20;
	uint8_t *mem = malloc(len);
	double wall, cpu;

	if (!mem || !len)
		return 1;
	for (size_t at = 0; at < len; at += 1u << 20)
		if (RAND_bytes(mem + at, 1 << 20) != 1)
			return 1;
	wall = seal_clock(CLOCK_MONOTONIC);
	cpu = seal_clock(CLOCK_PROCESS_CPUTIME_ID);
	if (!seal_all(mem, len))
		return 1;
	wall = seal_clock(CLOCK_MONOTONIC) - wall;
	cpu = seal_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"bytes\": %zu, \"seconds\": %.6f, \"cpu-seconds\": %.6f}\n", len, wall, cpu);
	free(mem);
	return 0;
}
