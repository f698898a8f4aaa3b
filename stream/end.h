/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a migration ends, well or not: doc/PROTOCOL.md 3.9 to 3.13. */

#include "stream/stream.h"

struct stream_end {
	uint64_t private_sent, shared_sent, zero_sent;
	uint32_t passes;
	uint8_t digest[STREAM_DIGEST_LEN];
};

struct stream_ready {
	uint8_t digest[STREAM_DIGEST_LEN];
};

/* COMMIT, RUNNING, DONE, QUERY. */
struct stream_id {
	uint8_t id[STREAM_ID_LEN];
};

enum stream_phase {
	STREAM_PHASE_READY = 1,
	STREAM_PHASE_RUNNING = 2,
	STREAM_PHASE_PASSES = 3, /* all pages so far were taken */
};

struct stream_answer {
	uint8_t id[STREAM_ID_LEN];
	uint32_t phase; /* enum stream_phase */
};

enum stream_abort_code {
	STREAM_ABORT_FAILED = 1,
	STREAM_ABORT_PROTOCOL,
	STREAM_ABORT_VERSION,
	STREAM_ABORT_BUSY,
	STREAM_ABORT_UNKNOWN_ID,
	STREAM_ABORT_REFUSED,
	STREAM_ABORT_CANCELLED,
};

#define STREAM_REASON_MAX 400u

struct stream_abort {
	uint32_t code;                      /* enum stream_abort_code */
	char reason[STREAM_REASON_MAX + 1]; /* printable */
};

int must_check stream_end_get(const uint8_t *p, size_t len, struct stream_end *out, struct err *e);
int must_check stream_end_put(struct wr *out, const struct stream_end *m, struct err *e);
int must_check stream_ready_get(const uint8_t *p, size_t len, struct stream_ready *out,
				struct err *e);
int must_check stream_ready_put(struct wr *out, const struct stream_ready *m, struct err *e);
int must_check stream_id_get(const uint8_t *p, size_t len, uint32_t type, struct stream_id *out,
			     struct err *e);
int must_check stream_id_put(struct wr *out, uint32_t type, const struct stream_id *m,
			     struct err *e);
int must_check stream_answer_get(const uint8_t *p, size_t len, struct stream_answer *out,
				 struct err *e);
int must_check stream_answer_put(struct wr *out, const struct stream_answer *m, struct err *e);
int must_check stream_abort_get(const uint8_t *p, size_t len, struct stream_abort *out,
				struct err *e);
/* A reason that is too long is cut. */
int must_check stream_abort_put(struct wr *out, uint32_t code, const char *reason, struct err *e);
