/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/launch.h"

#include <errno.h>
#include <string.h>

#include "owner/guidtable.h"
#include "owner/hashes.h"

static int hashes_add(struct crypto_hash *h, const struct owner_launch *l, struct err *e)
{
	struct owner_guidtable t;
	int r = owner_guidtable_get(l->firmware, l->firmware_len, &t, e);

	if (r < 0)
		return err_wrap(e, r, "firmware");
	if (t.hashes.size < OWNER_HASHES_LEN)
		return err_set(e, -ENOENT,
			       "firmware: it has no area for kernel hashes; it must be a build for "
			       "measured direct boot (AmdSev)");
	return crypto_hash_add(h, l->hashes, OWNER_HASHES_LEN, e);
}

static int reset_get(const struct owner_launch *l, uint32_t *out, struct err *e)
{
	struct owner_guidtable t = { 0 };
	int r = owner_guidtable_get(l->firmware, l->firmware_len, &t, e);

	if (r < 0)
		return err_wrap(e, r, "firmware");
	if (!t.es_reset)
		return err_set(e, -ENOENT,
			       "firmware: it does not say where secondary vCPUs start (SEV-ES)");
	*out = t.es_reset;
	return 0;
}

static int vcpus_add(struct crypto_hash *h, const struct owner_launch *l, struct err *e)
{
	struct owner_vmsa v = { .signature = l->signature, .init2 = l->init2 };
	uint8_t page[OWNER_VMSA_LEN];
	int r = 0;

	if (l->vcpus > OWNER_VCPUS_MAX)
		return err_set(e, -EINVAL, "%u vCPUs: more than %u", l->vcpus, OWNER_VCPUS_MAX);
	for (unsigned i = 0; i < l->vcpus && r == 0; i++) {
		if (i == 1)
			r = reset_get(l, &v.reset, e);
		owner_vmsa_make(&v, page);
		if (r == 0)
			r = crypto_hash_add(h, page, sizeof(page), e);
	}
	return r;
}

int owner_launch_digest(const struct owner_launch *l, uint8_t out[PSP_DIGEST_LEN], struct err *e)
{
	auto_hash struct crypto_hash *h = NULL;
	int r = crypto_hash_new(&h, e);

	if (r == 0)
		r = crypto_hash_add(h, l->firmware, l->firmware_len, e);
	if (r == 0 && l->hashes)
		r = hashes_add(h, l, e);
	if (r == 0)
		r = vcpus_add(h, l, e);
	return r < 0 ? r : crypto_hash_get(h, out, e);
}

int owner_launch_check(const struct secret *tik, struct session_measured *m,
		       const uint8_t measurement[PSP_MEASURE_LEN], struct err *e)
{
	uint8_t want[HMAC_LEN];
	int r;

	memcpy(m->mnonce, measurement + PSP_MEASURE_MNONCE, sizeof(m->mnonce));
	r = session_measure(tik, m, want, e);
	if (r < 0)
		return r;
	if (!crypto_equal(want, measurement + PSP_MEASURE_MAC, sizeof(want)))
		return err_set(e, -EKEYREJECTED,
			       "the measurement is not that of this digest, policy, firmware "
			       "version and key");
	return 0;
}
