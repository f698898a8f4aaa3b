/* SPDX-License-Identifier: Apache-2.0 */

/* A session buffer, then packets of header and cipher text under its keys (or, when the buffer is
 * refused, under fixed ones). The keys are those of the corpus, so that MACs can hold. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/rdwr.h"
#include "crypto/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PACKET 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct session_packet kinds[] = { { .domain = 2 }, { .domain = 3 } };
	struct secret z = { .len = 48 };
	struct session_keys k = { .tek.len = SESSION_KEY_LEN, .tik.len = SESSION_KEY_LEN };
	auto_session_packer struct session_packer *p = NULL;
	const uint8_t *buf, *hdr, *packet;
	struct rd in = rd_of(data, size);
	uint8_t plain[PACKET];
	struct session_master m;
	struct err e = { 0 };

	if (rd_span(&in, &buf, SESSION_BUF_LEN) < 0 || session_master_derive(&z, buf, &m, &e) < 0)
		return 0;
	if (session_unwrap(&m, 3, buf, &k, &e) < 0)
		memset(k.tek.b, 1, SESSION_KEY_LEN);
	if (session_packer_new(&k, &p, &e) < 0)
		__builtin_trap();
	while (rd_span(&in, &hdr, SESSION_HDR_LEN) == 0) {
		uint32_t len = in.len < PACKET ? (uint32_t)in.len : PACKET;

		if (rd_span(&in, &packet, len) < 0)
			__builtin_trap();
		for (int i = 0; i < 2; i++)
			if (session_open(p, &kinds[i], hdr, packet, len, plain, &e) == 0 &&
			    hdr[0] != 0)
				__builtin_trap(); /* flags are never accepted */
	}
	return 0;
}
