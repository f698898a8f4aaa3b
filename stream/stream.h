/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The migration stream's messages, as doc/PROTOCOL.md section 3 lays them out. Encoders write one
 * head into a struct wr; decoders are pure functions over a borrowed head that check everything
 * they hand out: lengths, counts, alignment, order, bounds. What a decoded struct points to lies
 * in the head and lives as long. Encoders refuse (-EMSGSIZE) only what does not fit; that a
 * message makes sense is the sender's business, and its peer's decoder holds it to that.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/gpa.h"
#include "base/rdwr.h"

#define STREAM_VERSION_MIN 1u
#define STREAM_VERSION_MAX 1u
/* Capabilities. The guest has a migration handler, and the target's is ready to take it. */
#define STREAM_CAP_HANDLER 2ull

enum stream_type {
	STREAM_NONE,
	STREAM_HELLO,
	STREAM_HELLO_REPLY,
	STREAM_START,
	STREAM_PRIVATE_PAGES,
	STREAM_SHARED_PAGES,
	STREAM_PASS,
	STREAM_SHARED_LIST,
	STREAM_STATE,
	STREAM_END,
	STREAM_READY,
	STREAM_COMMIT,
	STREAM_RUNNING,
	STREAM_DONE,
	STREAM_QUERY,
	STREAM_ANSWER,
	STREAM_ABORT,
	STREAM_VMSA,
	STREAM_VERDICT,
	STREAM_MANIFEST,
	STREAM_TYPES
};

_Static_assert(STREAM_ABORT == 16 && STREAM_VMSA == 17 && STREAM_VERDICT == 18 &&
		       STREAM_MANIFEST == 19 && STREAM_TYPES == 20,
	       "see doc/PROTOCOL.md");

#define STREAM_PREFIX_LEN 8u
#define STREAM_BATCH_PAGES 256u
#define STREAM_BODY_MAX (STREAM_BATCH_PAGES * PAGE_LEN)
#define STREAM_HEAD_MAX (STREAM_BATCH_PAGES * (PAGE_LEN + 16u) + 64u)
#define STREAM_ID_LEN 16u
#define STREAM_DIGEST_LEN 32u

_Static_assert(STREAM_HEAD_MAX == 1052736 && STREAM_BODY_MAX == 1048576, "see doc/PROTOCOL.md");

#define STREAM_RAM_MAX 8u

struct stream_span {
	uint64_t at;
	uint64_t size;
};

/* Where pages may lie. The caller of a decoder says so. */
struct stream_bounds {
	uint32_t nram;
	struct stream_span ram[STREAM_RAM_MAX]; /* ascending, disjoint */
	uint64_t private_below;                 /* no shared page below this */
};

/* "PRIVATE_PAGES"; "type 99" is not among them: NULL for what version 1 does not have. */
const char *stream_type_name(uint32_t type);
/* Is [at, at+len) inside one RAM range? */
bool stream_bounds_have(const struct stream_bounds *b, uint64_t at, uint64_t len);
/* Page multiples, not empty, ascending, disjoint, below 2^52. */
int must_check stream_bounds_check(const struct stream_bounds *b, struct err *e);

/* The eight bytes at the start of every head. */
int must_check stream_prefix_get(struct rd *in, uint32_t type, struct err *e);
void stream_prefix_put(struct wr *out, uint32_t type);
/* After the last field: everything fitted. */
int must_check stream_put_end(const struct wr *out, uint32_t type, struct err *e);
/* After the last field: nothing missing, nothing left over. */
int must_check stream_get_end(const struct rd *in, uint32_t type, struct err *e);
