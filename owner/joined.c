/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/joined.h"

#include <errno.h>
#include <string.h>

#include "base/rdwr.h"

/* --- apart ---------------------------------------------------------------------------------- */

#define USAGE_AT 8u /* of a SEV certificate; an AMD certificate has part of a key's id there */

static bool is_sev(struct rd in)
{
	uint32_t usage = 0;

	return rd_skip(&in, USAGE_AT) == 0 && rd_le32(&in, &usage) == 0 && usage >= SEVCERT_OCA &&
	       usage <= SEVCERT_CEK;
}

static int piece_take(struct rd *in, struct owner_piece *out, struct err *e)
{
	const uint8_t *start = in->p;
	struct sevcert sev;
	struct amdcert amd;
	int r;

	if (is_sev(*in)) {
		r = sevcert_get(in, &sev, e);
		if (r == 0)
			*out = (struct owner_piece){ sev.usage, start, SEVCERT_LEN };
	} else {
		r = amdcert_get(in, &amd, e);
		if (r == 0)
			*out = (struct owner_piece){ amd.usage, start, amd.len };
	}
	return r;
}

int owner_joined_get(const uint8_t *p, size_t len, struct owner_piece out[OWNER_CERTS], size_t *n,
		     struct err *e)
{
	struct owner_piece got[OWNER_CERTS] = { 0 };
	struct rd in = rd_of(p, len);
	size_t count = 0;

	if (!len)
		return err_set(e, -EPROTO, "no certificate: empty");
	while (in.len) {
		size_t at = len - in.len;
		struct owner_piece piece;
		int r = piece_take(&in, &piece, e);

		if (r < 0)
			return err_wrap(e, r, "at byte %zu", at);
		for (size_t i = 0; i < count; i++)
			if (got[i].usage == piece.usage)
				return err_set(e, -EPROTO, "at byte %zu: a second %s", at,
					       sevcert_usage_name(piece.usage));
		got[count++] = piece; /* six usages: it cannot be full */
	}
	memcpy(out, got, sizeof(got));
	*n = count;
	return 0;
}

/* --- together ------------------------------------------------------------------------------- */

static const uint32_t places[OWNER_CERTS] = { SEVCERT_PDH, SEVCERT_PEK, SEVCERT_OCA,
					      SEVCERT_CEK, SEVCERT_ASK, SEVCERT_ARK };
#define PLACE_ASK 4
#define PLACE_ARK 5

static size_t place_of(uint32_t usage)
{
	size_t i = 0;

	while (i < OWNER_CERTS && places[i] != usage)
		i++;
	return i;
}

static const uint8_t *place_at(const struct owner_set *s, size_t place)
{
	return place < PLACE_ASK ? s->sev[place] : s->amd[place - PLACE_ASK];
}

static bool is_unsigned(const struct sevcert *c)
{
	return c->sig[0].usage == SEVCERT_NONE && c->sig[1].usage == SEVCERT_NONE;
}

/* Do both hold one CEK's key, one of them without AMD's signature? *better: the new one has it. */
static bool same_cek(const uint8_t *old, const struct owner_piece *piece, bool *better)
{
	struct rd a = rd_of(old, SEVCERT_LEN), b = rd_of(piece->p, piece->len);
	struct err ignored = { 0 };
	struct sevcert before, after;

	if (piece->usage != SEVCERT_CEK || sevcert_get(&a, &before, &ignored) < 0 ||
	    sevcert_get(&b, &after, &ignored) < 0)
		return false;
	*better = is_unsigned(&before);
	return is_unsigned(&before) != is_unsigned(&after) && before.algo == after.algo &&
	       memcmp(before.pubkey, after.pubkey, SEVCERT_PUBKEY_LEN) == 0;
}

static int piece_add(struct owner_set *s, const struct owner_piece *piece, struct err *e)
{
	size_t i = place_of(piece->usage);
	uint8_t *to = i < PLACE_ASK ? s->sev[i] : s->amd[i - PLACE_ASK];
	bool take = !s->len[i];

	if (!take && s->len[i] == piece->len && memcmp(to, piece->p, piece->len) == 0)
		return 0;
	if (!take && !same_cek(to, piece, &take))
		return err_set(e, -EEXIST, "another %s than the one given before",
			       sevcert_usage_name(piece->usage));
	if (take) {
		memcpy(to, piece->p, piece->len);
		s->len[i] = piece->len;
	}
	return 0;
}

int owner_set_add(struct owner_set *s, const uint8_t *p, size_t len, struct err *e)
{
	struct owner_piece pieces[OWNER_CERTS];
	size_t n = 0;
	int r = owner_joined_get(p, len, pieces, &n, e);

	for (size_t i = 0; i < n && r == 0; i++)
		r = piece_add(s, &pieces[i], e);
	return r;
}

const uint8_t *owner_set_find(const struct owner_set *s, uint32_t usage, size_t *len)
{
	size_t i = place_of(usage);

	if (i == OWNER_CERTS || !s->len[i])
		return NULL;
	*len = s->len[i];
	return place_at(s, i);
}

int owner_set_certs(struct owner_set *s, struct owner_certs *out, struct err *e)
{
	for (size_t i = OWNER_CERTS; i-- > 0;)
		if (!s->len[i])
			return err_set(e, -ENOENT, "%s is missing from the chain",
				       sevcert_usage_name(places[i]));
	memcpy(s->amd_chain, s->amd[0], s->len[PLACE_ASK]);
	memcpy(s->amd_chain + s->len[PLACE_ASK], s->amd[1], s->len[PLACE_ARK]);
	*out = (struct owner_certs){
		.pdh = s->sev[0],
		.plat = s->sev[1],
		.amd = s->amd_chain,
		.amd_len = s->len[PLACE_ASK] + s->len[PLACE_ARK],
	};
	return 0;
}
