/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Two migration handlers and what goes between them. */

#include "tests/unit/handler_side.h"

/* One page, sealed, as it is on its way. */
struct parcel {
	uint8_t desc[HANDLER_DESC_LEN], data[HANDLER_PAGE];
};

static inline uint32_t side_export(struct side *s, uint64_t gpa, struct parcel *out)
{
	uint32_t status;

	side_ask(s, 0, gpa);
	status = side_pages(s, HANDLER_EXPORT, 1);
	memcpy(out->desc, side_desc(s, 0), sizeof(out->desc));
	memcpy(out->data, s->window, sizeof(out->data));
	return status;
}

static inline uint32_t side_import(struct side *s, const struct parcel *p)
{
	memcpy(side_desc(s, 0), p->desc, sizeof(p->desc));
	memcpy(s->window, p->data, sizeof(p->data));
	return side_pages(s, HANDLER_IMPORT, 1);
}

static inline void side_fill(struct side *s, uint64_t gpa, uint8_t v)
{
	memset(s->ram + gpa, v, HANDLER_PAGE);
}

/* Nonces are exchanged; both have keys. */
static inline void sides_start(struct side *src, struct side *dst)
{
	uint8_t nonce[2][HANDLER_NONCE_LEN];
	uint32_t role = HANDLER_SOURCE;

	assert_int_equal(side_call(src, HANDLER_INIT, &role, sizeof(role)), HANDLER_OK);
	memcpy(nonce[0], side_result(src), HANDLER_NONCE_LEN);
	role = HANDLER_TARGET;
	assert_int_equal(side_call(dst, HANDLER_INIT, &role, sizeof(role)), HANDLER_OK);
	memcpy(nonce[1], side_result(dst), HANDLER_NONCE_LEN);
	assert_int_equal(side_call(src, HANDLER_START, nonce[1], HANDLER_NONCE_LEN), HANDLER_OK);
	assert_int_equal(side_call(dst, HANDLER_START, nonce[0], HANDLER_NONCE_LEN), HANDLER_OK);
}

static inline void sides_move(struct side *src, struct side *dst, uint64_t gpa)
{
	struct parcel p;

	assert_int_equal(side_export(src, gpa, &p), HANDLER_OK);
	assert_int_equal(side_import(dst, &p), HANDLER_OK);
}

/* MANIFEST at the source, VERIFY at the target: what VERIFY says. */
static inline uint32_t sides_verify(struct side *src, struct side *dst,
				    uint8_t receipt[HANDLER_RECORD_LEN])
{
	uint8_t record[HANDLER_RECORD_LEN];
	uint32_t status;

	assert_int_equal(side_call(src, HANDLER_MANIFEST, NULL, 0), HANDLER_OK);
	memcpy(record, side_result(src), sizeof(record));
	status = side_call(dst, HANDLER_VERIFY, record, sizeof(record));
	memcpy(receipt, side_result(dst), HANDLER_RECORD_LEN);
	return status;
}
