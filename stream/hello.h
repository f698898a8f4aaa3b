/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a connection begins: doc/PROTOCOL.md 3.1 and 3.2. */

#include "stream/stream.h"

#define STREAM_MAGIC "SEVMIG\r\n"
#define STREAM_MAGIC_LEN 8u
#define STREAM_CERT_LEN 2084u
#define STREAM_PLAT_LEN (3u * STREAM_CERT_LEN)
#define STREAM_AMD_NAPLES_LEN (2u * 832u)
#define STREAM_AMD_NAPLES_BARE_LEN (832u + 576u) /* as AMD distributes it: ARK unsigned */
#define STREAM_NONCE_LEN 32u
#define STREAM_AMD_LEN (2u * 1600u)

enum stream_role { STREAM_ROLE_NEW = 1, STREAM_ROLE_RESUME = 2, STREAM_ROLE_ASK = 3 };

struct stream_hello {
	uint16_t version_min;
	uint16_t version_max;
	uint32_t role; /* enum stream_role */
	uint64_t capabilities;
	uint8_t id[STREAM_ID_LEN];
};

struct stream_hello_reply {
	uint16_t version;
	uint8_t api_major, api_minor;
	uint32_t build;
	uint64_t capabilities;
	const uint8_t *pdh;  /* STREAM_CERT_LEN; all three NULL in the reply to a resume */
	const uint8_t *plat; /* STREAM_PLAT_LEN */
	const uint8_t *amd;
	uint32_t amd_len;
	const uint8_t *nonce; /* STREAM_NONCE_LEN, with STREAM_CAP_HANDLER; else NULL */
};

int must_check stream_hello_get(const uint8_t *p, size_t len, struct stream_hello *out,
				struct err *e);
int must_check stream_hello_put(struct wr *out, const struct stream_hello *m, struct err *e);
int must_check stream_hello_reply_get(const uint8_t *p, size_t len, struct stream_hello_reply *out,
				      struct err *e);
int must_check stream_hello_reply_put(struct wr *out, const struct stream_hello_reply *m,
				      struct err *e);
/* The version a target chooses, or 0 when there is none in common. */
uint16_t stream_version_choose(const struct stream_hello *m);
