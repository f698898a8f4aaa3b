/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/digest.h"

#include <errno.h>
#include <stdlib.h>

#include "base/rdwr.h"
#include "crypto/hash.h"

_Static_assert(CHAN_DIGEST_LEN == SHA256_LEN, "see doc/PROTOCOL.md");

struct chan_digest {
	struct crypto_hash *hash; /* owned */
};

int chan_digest_new(struct chan_digest **out, struct err *e)
{
	auto_of(chan_digest) struct chan_digest *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_set(e, -ENOMEM, "no memory for a digest");
	r = crypto_hash_new(&d->hash, e);
	if (r < 0)
		return r;
	*out = steal_ptr(&d);
	return 0;
}

int chan_digest_add(struct chan_digest *d, const struct chan_msg *m, struct err *e)
{
	uint8_t front[20];
	struct wr out = wr_of(front, sizeof(front));
	int r;

	wr_le32(&out, m->type);
	wr_le64(&out, m->head_len);
	wr_le64(&out, m->body_len);
	r = crypto_hash_add(d->hash, front, out.len, e);
	return r < 0 ? r : crypto_hash_add(d->hash, m->head, m->head_len, e);
}

int chan_digest_get(const struct chan_digest *d, uint8_t out[CHAN_DIGEST_LEN], struct err *e)
{
	return crypto_hash_get(d->hash, out, e);
}

void chan_digest_free(struct chan_digest *d)
{
	if (!d)
		return;
	crypto_hash_free(d->hash);
	free(d);
}
