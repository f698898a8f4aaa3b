/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is about to be moved: doc/PROTOCOL.md 3.3. */

#include "stream/hello.h"
#include "stream/stream.h"

#define STREAM_SESSION_LEN 128u
#define STREAM_NAME_LEN 64u
#define STREAM_MACHINE_MAX 65536u
#define STREAM_PREFAULT_MAX 8192u
#define STREAM_START_MAX 70000u /* one without prefault ranges */
#define STREAM_PREFAULT_LEN 16u /* one encoded entry */

struct stream_prefault {
	uint64_t at;
	uint32_t pages;
	bool is_private;
};

struct stream_start {
	uint32_t policy;
	uint32_t vcpus;
	uint32_t cbit;
	char name[STREAM_NAME_LEN];
	const uint8_t *session;   /* STREAM_SESSION_LEN */
	const uint8_t *pdh;       /* STREAM_CERT_LEN, the source's */
	struct stream_bounds ram; /* private_below is not on the wire */
	const uint8_t *machine;
	uint32_t machine_len;
	struct rd prefault; /* encoded entries; take them with stream_prefault_next() */
	uint32_t nprefault;
};

int must_check stream_start_get(const uint8_t *p, size_t len, struct stream_start *out,
				struct err *e);
/* m->prefault holds nprefault entries as stream_prefault_put() made them. */
int must_check stream_start_put(struct wr *out, const struct stream_start *m, struct err *e);
int must_check stream_prefault_put(struct wr *out, const struct stream_prefault *f, struct err *e);
/* The next of a decoded START's ranges; false after the last. Advances m->prefault. */
bool stream_prefault_next(struct stream_start *m, struct stream_prefault *out);
