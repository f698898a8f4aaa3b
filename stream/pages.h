/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Passes over memory and the pages in them: doc/PROTOCOL.md 3.4 to 3.6. */

#include "stream/stream.h"

#define STREAM_PACKET_HDR_LEN 52u

struct stream_private_entry {
	struct gpa at;
	uint32_t len;
	uint8_t hdr[STREAM_PACKET_HDR_LEN];
	const uint8_t *packet; /* decoded: in the body */
};

struct stream_private {
	uint32_t pass;
	uint32_t count;
	struct rd entries, packets; /* for stream_private_next() */
};

struct stream_shared_entry {
	struct gpa at;
	const uint8_t *data; /* PAGE_LEN bytes, or NULL: all zeros */
};

struct stream_shared {
	uint32_t pass;
	uint32_t count;
	uint32_t zeros;          /* how many of them are zero marks */
	struct rd entries, data; /* for stream_shared_next() */
};

struct stream_pass {
	uint32_t pass;
	bool final;
	uint64_t pages;
	uint64_t private_sent, shared_sent, zero_sent;
};

int must_check stream_private_get(const uint8_t *p, size_t len, const uint8_t *body,
				  size_t body_len, const struct stream_bounds *b,
				  struct stream_private *out, struct err *e);
int must_check stream_private_put(struct wr *out, uint32_t pass,
				  const struct stream_private_entry *v, uint32_t n, struct err *e);
/* The next page of a decoded message; false after the last. */
bool stream_private_next(struct stream_private *m, struct stream_private_entry *out);

int must_check stream_shared_get(const uint8_t *p, size_t len, const struct stream_bounds *b,
				 struct stream_shared *out, struct err *e);
/* Reads each page once, so the head is one consistent copy while the guest goes on writing. */
int must_check stream_shared_put(struct wr *out, uint32_t pass, const struct stream_shared_entry *v,
				 uint32_t n, struct err *e);
bool stream_shared_next(struct stream_shared *m, struct stream_shared_entry *out);

int must_check stream_pass_get(const uint8_t *p, size_t len, struct stream_pass *out,
			       struct err *e);
int must_check stream_pass_put(struct wr *out, const struct stream_pass *m, struct err *e);
