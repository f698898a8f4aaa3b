/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"

/* An entry of the epochs while a page is being written. Epochs stay below. */
#define EPOCH_WRITING 0x80000000u

enum page_type { PAGE_DATA = 1, PAGE_ZERO };

/* --- what the host asks for ------------------------------------------------------------------- */

static void page_fetch(const uint8_t *d, struct handler_page *out)
{
	uint64_t place;

	out->gpa = host_get64(d + HANDLER_D_GPA);
	place = host_get64(d + HANDLER_D_OFFSET);
	out->offset = (uint32_t)place;
	out->len = (uint32_t)(place >> 32);
	out->epoch = host_get64(d + HANDLER_D_EPOCH);
	host_get(out->tag, d + HANDLER_D_TAG, HANDLER_TAG_LEN);
}

static void page_answer(uint8_t *d, const struct handler_page *p)
{
	host_put32(d + HANDLER_D_LEN, p->len);
	host_put64(d + HANDLER_D_EPOCH, p->epoch);
	host_put(d + HANDLER_D_TAG, p->tag, HANDLER_TAG_LEN);
}

/* An address with the C-bit, or any other above RAM, is outside of it. */
static enum handler_status page_check(const struct handler_env *env, const struct handler_page *p)
{
	bool inside = false;

	for (uint32_t i = 0; i < env->nram; i++)
		inside = inside || (p->gpa >= env->ram[i].start && p->gpa < env->ram[i].end &&
				    env->ram[i].end - p->gpa >= HANDLER_PAGE);
	if (!inside || p->gpa % HANDLER_PAGE || p->gpa > HANDLER_RAM_MAX - HANDLER_PAGE)
		return HANDLER_E_ADDRESS;
	if (p->gpa < HANDLER_END && p->gpa + HANDLER_PAGE > HANDLER_BASE)
		return HANDLER_E_OWN;
	if (p->offset % HANDLER_PAGE || p->offset > HANDLER_WINDOW_LEN - HANDLER_PAGE)
		return HANDLER_E_WINDOW;
	return HANDLER_OK;
}

/* All of them, before any is touched. */
static enum handler_status pages_fetch(struct handler *h, struct handler_worker *w,
				       struct handler_call *c)
{
	for (c->done = 0; c->done < c->count; c->done++) {
		struct handler_page *p = &w->v[c->done];
		enum handler_status s;

		page_fetch(c->mailbox + HANDLER_M_DESC + c->done * HANDLER_DESC_LEN, p);
		s = page_check(h->env, p);
		if (s != HANDLER_OK)
			return s;
	}
	c->done = 0;
	return HANDLER_OK;
}

/* --- common ----------------------------------------------------------------------------------- */

static void page_aad(const struct handler_page *p, uint8_t aad[32])
{
	own_put64(aad, p->gpa);
	own_put32(aad + 8, p->len);
	own_put32(aad + 12, p->len ? PAGE_DATA : PAGE_ZERO);
	own_put64(aad + 16, p->epoch);
	own_put64(aad + 24, 0);
}

static uint32_t *epoch_of(struct handler *h, const struct handler_page *p)
{
	return &h->env->epochs[p->gpa / HANDLER_PAGE];
}

static bool is_zero(const uint8_t *p)
{
	const uint64_t *v = (const uint64_t *)(const void *)p;
	uint64_t any = 0;

	for (unsigned i = 0; i < HANDLER_PAGE / sizeof(*v) && !any; i += 8)
		any = v[i] | v[i + 1] | v[i + 2] | v[i + 3] | v[i + 4] | v[i + 5] | v[i + 6] |
		      v[i + 7];
	return !any;
}

/* --- EXPORT ----------------------------------------------------------------------------------- */

/* The epochs are taken before any is used: whatever becomes of this call, none serves again. */
static enum handler_status export_begin(struct handler *h, struct handler_worker *w, uint32_t n,
					uint32_t *first)
{
	enum handler_status s = HANDLER_OK;

	if (!handler_lock(h))
		return HANDLER_E_BUSY;
	if (h->state == HANDLER_SEALED)
		s = HANDLER_E_SEALED;
	else if (h->state != HANDLER_SENDING)
		s = HANDLER_E_STATE;
	else if (n >= EPOCH_WRITING - 1 - h->epoch)
		s = HANDLER_E_FULL;
	if (s == HANDLER_OK) {
		*first = h->epoch + 1;
		h->epoch += n;
		h->busy++;
		w->generation = h->generation;
		w->zero_visible = h->owner.flags & HANDLER_F_ZERO_VISIBLE;
		__builtin_memcpy(&w->key, &h->forth, sizeof(w->key));
	}
	handler_unlock(h);
	return s;
}

static void export_page(struct handler *h, struct handler_worker *w, struct handler_page *p)
{
	const uint8_t *page = h->env->page(h->env->ctx, p->gpa);
	bool mark = w->zero_visible && is_zero(page);
	struct gcm_span in = { page, mark ? 0 : HANDLER_PAGE };
	uint8_t aad[32];

	p->len = (uint32_t)in.len;
	page_aad(p, aad);
	gcm_seal(h->env->cipher, &w->key, GCM_PAGE, p->epoch, (struct gcm_span){ aad, sizeof(aad) },
		 in, w->bounce, p->tag);
	if (p->len)
		__builtin_memcpy(h->env->window + p->offset, w->bounce, HANDLER_PAGE);
}

/* The newest epoch of a page is the one that counts, in whatever order vCPUs come here. */
static enum handler_status export_end(struct handler *h, struct handler_worker *w, uint32_t n)
{
	enum handler_status s = HANDLER_E_STATE;

	if (!handler_lock(h))
		return HANDLER_E_BUSY;
	if (h->generation == w->generation) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t *epoch = epoch_of(h, &w->v[i]);

			if (*epoch < w->v[i].epoch)
				*epoch = (uint32_t)w->v[i].epoch;
		}
		h->pages += n;
		h->busy--;
		s = HANDLER_OK;
	}
	handler_unlock(h);
	return s;
}

enum handler_status handler_export(struct handler *h, struct handler_worker *w,
				   struct handler_call *c)
{
	enum handler_status s = pages_fetch(h, w, c);
	uint32_t first = 0;

	if (s == HANDLER_OK)
		s = export_begin(h, w, c->count, &first);
	if (s != HANDLER_OK)
		return s;
	for (uint32_t i = 0; i < c->count; i++) {
		w->v[i].epoch = first + i;
		export_page(h, w, &w->v[i]);
		page_answer(c->mailbox + HANDLER_M_DESC + i * HANDLER_DESC_LEN, &w->v[i]);
	}
	s = export_end(h, w, c->count);
	own_wipe(&w->key, sizeof(w->key));
	c->done = s == HANDLER_OK ? c->count : 0;
	return s;
}

/* --- IMPORT ----------------------------------------------------------------------------------- */

static enum handler_status import_begin(struct handler *h, struct handler_worker *w)
{
	enum handler_status s = HANDLER_E_STATE;

	if (!handler_lock(h))
		return HANDLER_E_BUSY;
	if (h->state == HANDLER_TAKING) {
		h->busy++;
		w->generation = h->generation;
		__builtin_memcpy(&w->key, &h->forth, sizeof(w->key));
		s = HANDLER_OK;
	}
	handler_unlock(h);
	return s;
}

/* The page is this vCPU's until its epoch is set. One that is another's is never waited for. */
static enum handler_status import_claim(uint32_t *epoch, const struct handler_page *p)
{
	uint32_t old = __atomic_load_n(epoch, __ATOMIC_ACQUIRE);

	if (p->epoch >= EPOCH_WRITING || p->epoch <= (old & ~EPOCH_WRITING))
		return HANDLER_E_STALE;
	if ((old & EPOCH_WRITING) ||
	    !__atomic_compare_exchange_n(epoch, &old, old | EPOCH_WRITING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return HANDLER_E_BUSY;
	return HANDLER_OK;
}

/* What was opened goes to its place only when its tag is right: a host chooses the bits of what is
 * opened under a wrong one, and nothing keeps it from entering the guest's own vCPUs. */
static enum handler_status import_open(struct handler *h, struct handler_worker *w,
				       const struct handler_page *p)
{
	uint8_t *page = h->env->page(h->env->ctx, p->gpa);
	uint8_t aad[32], tag[HANDLER_TAG_LEN], none[HANDLER_TAG_LEN];

	page_aad(p, aad);
	if (p->len)
		__builtin_memcpy(w->bounce, h->env->window + p->offset, HANDLER_PAGE);
	gcm_open(h->env->cipher, &w->key, GCM_PAGE, p->epoch, (struct gcm_span){ aad, sizeof(aad) },
		 (struct gcm_span){ w->bounce, p->len }, p->len ? w->bounce : none, tag);
	if (!own_equal(tag, p->tag, sizeof(tag)))
		return HANDLER_E_TAG;
	if (p->len)
		__builtin_memcpy(page, w->bounce, HANDLER_PAGE);
	else
		__builtin_memset(page, 0, HANDLER_PAGE);
	return HANDLER_OK;
}

static enum handler_status import_page(struct handler *h, struct handler_worker *w,
				       const struct handler_page *p)
{
	uint32_t *epoch = epoch_of(h, p);
	enum handler_status s;

	if (p->len && p->len != HANDLER_PAGE)
		return HANDLER_E_LENGTH;
	s = import_claim(epoch, p);
	if (s == HANDLER_OK)
		s = import_open(h, w, p);
	if (s == HANDLER_OK)
		__atomic_store_n(epoch, (uint32_t)p->epoch, __ATOMIC_RELEASE);
	return s;
}

/* Anything that is not as the source sent it is the end of the session. */
static enum handler_status import_end(struct handler *h, struct handler_worker *w, uint32_t n,
				      enum handler_status s)
{
	if (!handler_lock(h))
		return HANDLER_E_BUSY;
	if (h->generation == w->generation) {
		h->pages += n;
		h->busy--;
		if (s != HANDLER_OK)
			h->state = HANDLER_FAILED;
	}
	handler_unlock(h);
	return s;
}

enum handler_status handler_import(struct handler *h, struct handler_worker *w,
				   struct handler_call *c)
{
	enum handler_status s = import_begin(h, w);
	uint32_t n = 0;

	if (s != HANDLER_OK)
		return s;
	s = pages_fetch(h, w, c);
	while (s == HANDLER_OK && n < c->count) {
		s = import_page(h, w, &w->v[n]);
		n += s == HANDLER_OK;
	}
	if (n)
		c->done = n;
	s = import_end(h, w, n, s);
	own_wipe(&w->key, sizeof(w->key));
	return s;
}
