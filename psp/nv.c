/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What survives power-off, as one blob:
 *
 *	8	magic "sevm-psp"
 *	4	format version
 *	4	length of the content
 *	...	content: fields of tag (4), length (4), bytes; ascending tags, each at most once
 *	32	SHA-256 of everything before
 *
 * The digest finds damage, not malice: whoever can write the file owns the platform.
 */

#include <errno.h>
#include <string.h>

#include "crypto/secret.h"
#include "psp/state.h"

#define NV_MAGIC "sevm-psp"
#define NV_MAGIC_LEN 8
#define NV_FORMAT 1
#define NV_HEAD_LEN (NV_MAGIC_LEN + 8)
#define NV_MAX 65536
#define RSA_DER_MAX 4096

/* --- decoding: pure ------------------------------------------------------------------------- */

static const struct {
	uint32_t min, max;
	bool required;
} fields[PSP_NV_TAGS] = {
	[PSP_NV_VERSION] = { 3, 3, true },
	[PSP_NV_CHIP_ID] = { PSP_CHIP_ID_LEN, PSP_CHIP_ID_LEN, true },
	[PSP_NV_ARK_CERT] = { PSP_AMD_CERT_LEN_2048, PSP_AMD_CERT_LEN_4096, true },
	[PSP_NV_ASK_CERT] = { PSP_AMD_CERT_LEN_2048, PSP_AMD_CERT_LEN_4096, true },
	[PSP_NV_ARK_KEY] = { 1, RSA_DER_MAX, false },
	[PSP_NV_ASK_KEY] = { 1, RSA_DER_MAX, false },
	[PSP_NV_CEK_KEY] = { P384_LEN, P384_LEN, true },
	[PSP_NV_CEK_CERT] = { PSP_CERT_LEN, PSP_CERT_LEN, true },
	[PSP_NV_OCA_KEY] = { P384_LEN, P384_LEN, false },
	[PSP_NV_OCA_CERT] = { PSP_CERT_LEN, PSP_CERT_LEN, false },
	[PSP_NV_PEK_KEY] = { P384_LEN, P384_LEN, false },
	[PSP_NV_PEK_CERT] = { PSP_CERT_LEN, PSP_CERT_LEN, false },
	[PSP_NV_PDH_KEY] = { P384_LEN, P384_LEN, false },
	[PSP_NV_PDH_CERT] = { PSP_CERT_LEN, PSP_CERT_LEN, false },
};

static bool has(const struct psp_nv *nv, enum psp_nv_tag t)
{
	return nv->field[t].p != NULL;
}

static int groups_check(const struct psp_nv *nv, struct err *e)
{
	bool owner = has(nv, PSP_NV_OCA_CERT);

	for (uint32_t t = 1; t < PSP_NV_TAGS; t++)
		if (fields[t].required && !nv->field[t].p)
			return err_set(e, -EPROTO, "NV: field %u is missing", t);
	if (nv->field[PSP_NV_ARK_CERT].len != nv->field[PSP_NV_ASK_CERT].len)
		return err_set(e, -EPROTO, "NV: ARK and ASK differ in size");
	if (has(nv, PSP_NV_ARK_KEY) != has(nv, PSP_NV_ASK_KEY))
		return err_set(e, -EPROTO, "NV: one of ARK's and ASK's keys is missing");
	for (uint32_t t = PSP_NV_PEK_KEY; t <= PSP_NV_PDH_CERT; t++)
		if (has(nv, t) != owner)
			return err_set(e, -EPROTO, "NV: part of OCA, PEK and PDH is missing");
	if (has(nv, PSP_NV_OCA_KEY) && !owner)
		return err_set(e, -EPROTO, "NV: OCA's key without its certificate");
	return 0;
}

int psp_nv_content_get(struct psp_bytes bytes, struct psp_nv *out, struct err *e)
{
	struct rd in = rd_of(bytes.p, bytes.len);
	struct psp_nv nv = { 0 };
	uint32_t last = 0;
	int r;

	while (in.len > 0) {
		uint32_t tag = 0, len = 0;

		if (rd_le32(&in, &tag) < 0 || rd_le32(&in, &len) < 0)
			return err_set(e, -EPROTO, "NV: short field");
		if (tag <= last || tag >= PSP_NV_TAGS)
			return err_set(e, -EPROTO, "NV: unexpected field %u", tag);
		if (len < fields[tag].min || len > fields[tag].max)
			return err_set(e, -EPROTO, "NV: field %u of %u bytes", tag, len);
		if (rd_span(&in, &nv.field[tag].p, len) < 0)
			return err_set(e, -EPROTO, "NV: short field %u", tag);
		nv.field[tag].len = len;
		last = tag;
	}
	r = groups_check(&nv, e);
	if (r < 0)
		return r;
	*out = nv;
	return 0;
}

int psp_nv_frame_get(struct psp_bytes bytes, struct psp_bytes *content, struct err *e)
{
	struct rd in = rd_of(bytes.p, bytes.len);
	const uint8_t *magic = NULL, *digest = NULL;
	uint8_t sum[SHA256_LEN];
	uint32_t format = 0, len = 0;
	int r;

	if (bytes.len > NV_MAX)
		return err_set(e, -EPROTO, "NV: %zu bytes", bytes.len);
	if (rd_span(&in, &magic, NV_MAGIC_LEN) < 0 || !crypto_equal(magic, NV_MAGIC, NV_MAGIC_LEN))
		return err_set(e, -EPROTO, "NV: not a platform's state");
	if (rd_le32(&in, &format) < 0 || format != NV_FORMAT)
		return err_set(e, -EPROTO, "NV: unknown format %u", format);
	if (rd_le32(&in, &len) < 0 || rd_span(&in, &content->p, len) < 0 ||
	    rd_span(&in, &digest, SHA256_LEN) < 0 || !rd_done(&in))
		return err_set(e, -EPROTO, "NV: wrong length");
	r = crypto_sha256(bytes.p, NV_HEAD_LEN + len, sum, e);
	if (r < 0)
		return r;
	if (!crypto_equal(sum, digest, SHA256_LEN))
		return err_set(e, -EPROTO, "NV: damaged (digest)");
	content->len = len;
	return 0;
}

/* --- from fields to keys -------------------------------------------------------------------- */

/* A private key and its certificate must belong together. */
static int ec_load(const struct psp_nv *nv, enum psp_nv_tag key, enum psp_nv_tag cert,
		   uint32_t usage, struct ec_key **out, struct err *e)
{
	struct rd in = rd_of(nv->field[cert].p, nv->field[cert].len);
	auto_ec_key struct ec_key *k = NULL;
	uint8_t x[2 * EC_COORD_LEN];
	struct sevcert c;
	int r = sevcert_get(&in, &c, e);

	if (r == 0)
		r = ec_key_of_scalar(nv->field[key].p, &k, e);
	if (r == 0)
		r = ec_key_point(k, x, x + EC_COORD_LEN, e);
	if (r < 0)
		return err_wrap(e, -EPROTO, "NV");
	if (c.usage != usage || !crypto_equal(x, c.pubkey + 4, sizeof(x)))
		return err_set(e, -EPROTO, "NV: %s's key is not its certificate's",
			       sevcert_usage_name(usage));
	*out = steal_ptr(&k);
	return 0;
}

static void field_copy(const struct psp_nv *nv, enum psp_nv_tag t, uint8_t *out)
{
	memcpy(out, nv->field[t].p, nv->field[t].len);
}

static int root_check(const struct psp_nv *nv, enum psp_nv_tag t, uint32_t usage,
		      struct amdcert *out, struct err *e)
{
	struct rd in = rd_of(nv->field[t].p, nv->field[t].len);

	if (amdcert_get(&in, out, e) < 0)
		return err_wrap(e, -EPROTO, "NV");
	if (out->usage != usage || !rd_done(&in) || !out->sig)
		return err_set(e, -EPROTO, "NV: not the certificate of %s",
			       sevcert_usage_name(usage));
	return 0;
}

static int root_key_check(const struct rsa_key *k, const struct amdcert *c, struct err *e)
{
	uint8_t modulus[RSA_BYTES_MAX], exponent[RSA_BYTES_MAX];
	int r = 0;

	if (rsa_key_bits(k) == c->bits)
		r = rsa_key_numbers(k, modulus, exponent, e);
	if (r < 0)
		return r;
	if (rsa_key_bits(k) != c->bits || !crypto_equal(modulus, c->modulus, c->bits / 8) ||
	    !crypto_equal(exponent, c->pubexp, c->bits / 8))
		return err_set(e, -EPROTO, "NV: %s's key is not its certificate's",
			       sevcert_usage_name(c->usage));
	return 0;
}

/* The certificate, and the key when this platform has it. */
static int root_load(const struct psp_nv *nv, enum psp_nv_tag cert, enum psp_nv_tag key,
		     uint32_t usage, struct rsa_key **out, struct err *e)
{
	auto_rsa_key struct rsa_key *k = NULL;
	struct amdcert c;
	int r = root_check(nv, cert, usage, &c, e);

	if (r < 0 || !has(nv, key))
		return r;
	if (rsa_key_get(nv->field[key].p, nv->field[key].len, &k, e) < 0)
		return err_wrap(e, -EPROTO, "NV");
	r = root_key_check(k, &c, e);
	if (r == 0)
		*out = steal_ptr(&k);
	return r;
}

static int chip_load(const struct psp_nv *nv, struct psp_chip *c, struct err *e)
{
	int r = root_load(nv, PSP_NV_ARK_CERT, PSP_NV_ARK_KEY, SEVCERT_ARK, &c->ark, e);

	if (r == 0)
		r = root_load(nv, PSP_NV_ASK_CERT, PSP_NV_ASK_KEY, SEVCERT_ASK, &c->ask, e);
	if (r == 0)
		r = ec_load(nv, PSP_NV_CEK_KEY, PSP_NV_CEK_CERT, SEVCERT_CEK, &c->cek, e);
	if (r < 0)
		return r;
	c->api_major = nv->field[PSP_NV_VERSION].p[0];
	c->api_minor = nv->field[PSP_NV_VERSION].p[1];
	c->build = nv->field[PSP_NV_VERSION].p[2];
	c->amd_len = nv->field[PSP_NV_ARK_CERT].len;
	field_copy(nv, PSP_NV_CHIP_ID, c->id);
	field_copy(nv, PSP_NV_ARK_CERT, c->ark_cert);
	field_copy(nv, PSP_NV_ASK_CERT, c->ask_cert);
	field_copy(nv, PSP_NV_CEK_CERT, c->cek_cert);
	return 0;
}

static int identity_load(const struct psp_nv *nv, struct psp_identity *id, struct err *e)
{
	int r = 0;

	if (!has(nv, PSP_NV_OCA_CERT))
		return 0;
	if (has(nv, PSP_NV_OCA_KEY))
		r = ec_load(nv, PSP_NV_OCA_KEY, PSP_NV_OCA_CERT, SEVCERT_OCA, &id->oca, e);
	if (r == 0)
		r = ec_load(nv, PSP_NV_PEK_KEY, PSP_NV_PEK_CERT, SEVCERT_PEK, &id->pek, e);
	if (r == 0)
		r = ec_load(nv, PSP_NV_PDH_KEY, PSP_NV_PDH_CERT, SEVCERT_PDH, &id->pdh, e);
	if (r < 0)
		return r;
	field_copy(nv, PSP_NV_OCA_CERT, id->oca_cert);
	field_copy(nv, PSP_NV_PEK_CERT, id->pek_cert);
	field_copy(nv, PSP_NV_PDH_CERT, id->pdh_cert);
	id->present = true;
	return 0;
}

DEFINE_AUTO(nv_psp, struct psp *, psp_free)

int psp_nv_get(const void *nv, size_t len, struct psp **out, struct err *e)
{
	auto_of(nv_psp) struct psp *p = calloc(1, sizeof(*p));
	struct psp_bytes content = { 0 };
	struct psp_nv f;
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "NV: no memory");
	r = psp_nv_frame_get((struct psp_bytes){ nv, len }, &content, e);
	if (r == 0)
		r = psp_nv_content_get(content, &f, e);
	if (r == 0)
		r = chip_load(&f, &p->chip, e);
	if (r == 0)
		r = identity_load(&f, &p->id, e);
	if (r < 0)
		return r;
	*out = steal_ptr(&p);
	return 0;
}

int psp_nv_reload(struct psp *p, const void *nv, size_t len, struct err *e)
{
	auto_of(nv_psp) struct psp *other = NULL;
	struct psp_identity id;
	struct psp_chip chip;
	int r = psp_nv_get(nv, len, &other, e);

	if (r < 0)
		return r;
	if (!other->id.present && p->state != PSP_PSTATE_UNINIT) {
		r = psp_identity_make(other, e);
		if (r < 0)
			return r;
		p->nv_changes++; /* as the next INIT would */
	}
	chip = p->chip;
	id = p->id;
	p->chip = other->chip;
	p->id = other->id;
	other->chip = chip;
	other->id = id;
	return 0;
}

uint64_t psp_nv_changes(const struct psp *p)
{
	return p->nv_changes;
}

/* --- encoding ------------------------------------------------------------------------------- */

static int field_put(struct buf *out, enum psp_nv_tag t, const void *p, size_t len, struct err *e)
{
	int r = buf_add_le32(out, t, e);

	if (r == 0)
		r = buf_add_le32(out, (uint32_t)len, e);
	return r < 0 ? r : buf_add(out, p, len, e);
}

static int ec_put(struct buf *out, enum psp_nv_tag t, const struct ec_key *k, struct err *e)
{
	auto_secret struct secret d = { 0 };
	int r = k ? ec_key_scalar(k, &d, e) : 0;

	return r < 0 || !k ? r : field_put(out, t, d.b, d.len, e);
}

static void buf_wipe(struct buf *b)
{
	if (b->p)
		crypto_wipe(b->p, b->cap);
	buf_fini(b);
}
#define auto_wiped_buf cleanup_with(buf_wipe)

static int rsa_put(struct buf *out, enum psp_nv_tag t, const struct rsa_key *k, struct err *e)
{
	auto_wiped_buf struct buf der = { 0 };
	int r = k ? rsa_key_put(k, &der, e) : 0;

	return r < 0 || !k ? r : field_put(out, t, der.p, der.len, e);
}

static int chip_put(struct buf *out, const struct psp_chip *c, struct err *e)
{
	const uint8_t version[] = { c->api_major, c->api_minor, c->build };
	int r = field_put(out, PSP_NV_VERSION, version, sizeof(version), e);

	if (r == 0)
		r = field_put(out, PSP_NV_CHIP_ID, c->id, sizeof(c->id), e);
	if (r == 0)
		r = field_put(out, PSP_NV_ARK_CERT, c->ark_cert, c->amd_len, e);
	if (r == 0)
		r = field_put(out, PSP_NV_ASK_CERT, c->ask_cert, c->amd_len, e);
	if (r == 0)
		r = rsa_put(out, PSP_NV_ARK_KEY, c->ark, e);
	if (r == 0)
		r = rsa_put(out, PSP_NV_ASK_KEY, c->ask, e);
	if (r == 0)
		r = ec_put(out, PSP_NV_CEK_KEY, c->cek, e);
	return r < 0 ? r : field_put(out, PSP_NV_CEK_CERT, c->cek_cert, sizeof(c->cek_cert), e);
}

static int identity_put(struct buf *out, const struct psp_identity *id, struct err *e)
{
	int r = ec_put(out, PSP_NV_OCA_KEY, id->oca, e);

	if (r == 0)
		r = field_put(out, PSP_NV_OCA_CERT, id->oca_cert, PSP_CERT_LEN, e);
	if (r == 0)
		r = ec_put(out, PSP_NV_PEK_KEY, id->pek, e);
	if (r == 0)
		r = field_put(out, PSP_NV_PEK_CERT, id->pek_cert, PSP_CERT_LEN, e);
	if (r == 0)
		r = ec_put(out, PSP_NV_PDH_KEY, id->pdh, e);
	return r < 0 ? r : field_put(out, PSP_NV_PDH_CERT, id->pdh_cert, PSP_CERT_LEN, e);
}

static int frame_put(struct buf *out, const struct buf *content, struct err *e)
{
	uint8_t sum[SHA256_LEN];
	size_t start = out->len;
	int r = buf_add(out, NV_MAGIC, NV_MAGIC_LEN, e);

	if (r == 0)
		r = buf_add_le32(out, NV_FORMAT, e);
	if (r == 0)
		r = buf_add_le32(out, (uint32_t)content->len, e);
	if (r == 0)
		r = buf_add(out, content->p, content->len, e);
	if (r == 0)
		r = crypto_sha256(out->p + start, out->len - start, sum, e);
	return r < 0 ? r : buf_add(out, sum, sizeof(sum), e);
}

int psp_nv_put(const struct psp *p, struct buf *out, struct err *e)
{
	auto_wiped_buf struct buf content = { 0 };
	int r = buf_reserve(&content, NV_MAX, e); /* growing would leave copies of keys behind */

	if (r == 0)
		r = chip_put(&content, &p->chip, e);
	if (r == 0 && p->id.present)
		r = identity_put(&content, &p->id, e);
	return r < 0 ? r : frame_put(out, &content, e);
}
