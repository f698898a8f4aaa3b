/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/secret.h"

#include <errno.h>
#include <string.h>

#include "base/rdwr.h"

#define HEAD_LEN (OWNER_GUID_LEN + 4)
#define TABLE_GUID "1e74f542-71dd-4d66-963e-ef4287ff173b"
#define ALIGNED(n) (((n) + 15) & ~(size_t)15)

/* Its length without padding. */
static int table_measure(const struct owner_secret *v, size_t n, size_t *len, struct err *e)
{
	size_t total = HEAD_LEN;

	for (size_t i = 0; i < n; i++) {
		if (!v[i].len)
			return err_set(e, -EINVAL, "secret %zu is empty", i + 1);
		for (size_t k = 0; k < i; k++)
			if (memcmp(v[k].guid, v[i].guid, OWNER_GUID_LEN) == 0)
				return err_set(e, -EEXIST, "secrets %zu and %zu have one GUID",
					       k + 1, i + 1);
		if (__builtin_add_overflow(total, v[i].len, &total) ||
		    __builtin_add_overflow(total, HEAD_LEN, &total) || total > PSP_SECRET_MAX)
			return err_set(e, -E2BIG,
				       "the secrets need more than the %u bytes of a packet",
				       PSP_SECRET_MAX);
	}
	*len = total;
	return n ? 0 : err_set(e, -EINVAL, "no secret");
}

int owner_secret_table(const struct owner_secret *v, size_t n, struct buf *out, struct err *e)
{
	uint8_t guid[OWNER_GUID_LEN];
	size_t len = 0;
	struct wr w;
	int r = table_measure(v, n, &len, e);

	if (r == 0)
		r = owner_guid_get(TABLE_GUID, guid, e);
	if (r == 0) /* at once: growing would leave copies behind */
		r = buf_reserve(out, ALIGNED(len), e);
	if (r < 0)
		return r;
	w = wr_of(out->p + out->len, ALIGNED(len));
	wr_bytes(&w, guid, sizeof(guid));
	wr_le32(&w, (uint32_t)len);
	for (size_t i = 0; i < n; i++) {
		wr_bytes(&w, v[i].guid, OWNER_GUID_LEN);
		wr_le32(&w, (uint32_t)(HEAD_LEN + v[i].len));
		wr_bytes(&w, v[i].p, v[i].len);
	}
	wr_zero(&w, ALIGNED(len) - len);
	out->len += w.len;
	return 0;
}

int owner_secret_seal(const struct session_keys *k, const uint8_t measure[PSP_MAC_LEN],
		      const uint8_t *table, size_t len, uint8_t hdr[PSP_HDR_LEN], uint8_t *cipher,
		      struct err *e)
{
	const struct session_packet kind = { .domain = PSP_MAC_SECRET, .measure = measure };
	auto_session_packer struct session_packer *p = NULL;
	int r = session_packer_new(k, &p, e);

	if (r < 0)
		return r;
	if (len > PSP_SECRET_MAX)
		return err_set(e, -E2BIG, "secret of %zu bytes: more than %u", len, PSP_SECRET_MAX);
	return session_seal(p, &kind, table, (uint32_t)len, hdr, cipher, e);
}
