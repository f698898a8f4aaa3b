/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The proofs at the end of a session. MANIFEST: what the source sent, page by page, in a tag over
 * its epochs. VERIFY: the target holds exactly that, and says so. SEAL: the source heard it and has
 * given the guest up. RELEASE: the target may let it run. Each is made once under its key.
 */

#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"

enum {
	R_KIND = 0,
	R_EPOCH = 8,
	R_PAGES = 16,
	R_EPOCHS_TAG = 24,
	R_TAG = 48,
};

_Static_assert(R_TAG + HANDLER_TAG_LEN == HANDLER_RECORD_LEN, "see doc/HANDLER.md");

static struct gcm_span own_span(const void *p, uint64_t len)
{
	return (struct gcm_span){ p, len };
}

static void tag_make(struct handler *h, enum gcm_class kind, struct gcm_span what,
		     uint8_t tag[HANDLER_TAG_LEN])
{
	const struct gcm_key_data *k = kind == GCM_RECEIPT ? &h->back : &h->forth;
	uint8_t none[HANDLER_TAG_LEN];

	gcm_seal(h->env->cipher, k, kind, 0, what, own_span(none, 0), none, tag);
}

static void epochs_tag(struct handler *h, uint8_t tag[HANDLER_TAG_LEN])
{
	uint64_t end = h->env->ram[h->env->nram - 1].end;

	tag_make(h, GCM_EPOCHS, own_span(h->env->epochs, end / HANDLER_PAGE * sizeof(uint32_t)),
		 tag);
}

static void record_make(struct handler *h, enum gcm_class kind, uint8_t out[HANDLER_RECORD_LEN])
{
	__builtin_memset(out, 0, HANDLER_RECORD_LEN);
	own_put32(out + R_KIND, kind);
	own_put64(out + R_EPOCH, h->epoch);
	own_put64(out + R_PAGES, h->pages);
	__builtin_memcpy(out + R_EPOCHS_TAG, h->tag, HANDLER_TAG_LEN);
	tag_make(h, kind, own_span(out, R_TAG), out + R_TAG);
}

static bool record_is(struct handler *h, enum gcm_class kind, const uint8_t in[HANDLER_RECORD_LEN])
{
	uint8_t tag[HANDLER_TAG_LEN];

	tag_make(h, kind, own_span(in, R_TAG), tag);
	return own_equal(tag, in + R_TAG, HANDLER_TAG_LEN) && own_get32(in + R_KIND) == kind;
}

static bool record_agrees(const struct handler *h, const uint8_t in[HANDLER_RECORD_LEN])
{
	return own_get64(in + R_PAGES) == h->pages &&
	       own_equal(in + R_EPOCHS_TAG, h->tag, HANDLER_TAG_LEN);
}

enum handler_status handler_manifest(struct handler *h, uint8_t out[HANDLER_RECORD_LEN])
{
	if (h->busy)
		return HANDLER_E_BUSY;
	epochs_tag(h, h->tag);
	record_make(h, GCM_MANIFEST, out);
	h->state = HANDLER_FROZEN;
	return HANDLER_OK;
}

enum handler_status handler_verify(struct handler *h, const uint8_t in[HANDLER_RECORD_LEN],
				   uint8_t out[HANDLER_RECORD_LEN])
{
	if (h->busy)
		return HANDLER_E_BUSY;
	h->state = HANDLER_FAILED;
	if (!record_is(h, GCM_MANIFEST, in))
		return HANDLER_E_RECORD;
	epochs_tag(h, h->tag);
	if (!record_agrees(h, in))
		return HANDLER_E_INCOMPLETE;
	h->state = HANDLER_VERIFIED;
	record_make(h, GCM_RECEIPT, out);
	return HANDLER_OK;
}

enum handler_status handler_seal(struct handler *h, const uint8_t in[HANDLER_RECORD_LEN],
				 uint8_t out[HANDLER_RECORD_LEN])
{
	if (!record_is(h, GCM_RECEIPT, in) || !record_agrees(h, in))
		return HANDLER_E_RECORD;
	h->state = HANDLER_SEALED;
	record_make(h, GCM_RELEASE, out);
	return HANDLER_OK;
}

enum handler_status handler_release(struct handler *h, const uint8_t in[HANDLER_RECORD_LEN])
{
	if (!record_is(h, GCM_RELEASE, in) || !record_agrees(h, in))
		return HANDLER_E_RECORD;
	h->state = HANDLER_RELEASED;
	h->half_filled = false;
	h->arrived = true;
	return HANDLER_OK;
}
