/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/session.h"

#include <errno.h>
#include <string.h>

#include "base/rdwr.h"
#include "crypto/kdf.h"

#define WRAP_TK_AT 0x10
#define WRAP_IV_AT 0x30
#define WRAP_MAC_AT 0x40
#define POLICY_MAC_AT 0x60
#define TK_LEN (2 * SESSION_KEY_LEN)

#define HDR_IV_AT 4
#define HDR_MAC_AT 0x14
#define MEASURED_LEN 56
#define MEASURE_DOMAIN 0x04

#define FLAG_COMPRESSED 1u

void session_master_wipe(struct session_master *m)
{
	crypto_wipe(m, sizeof(*m));
}

void session_keys_wipe(struct session_keys *k)
{
	crypto_wipe(k, sizeof(*k));
}

int session_master_derive(const struct secret *z, const uint8_t nonce[SESSION_NONCE_LEN],
			  struct session_master *out, struct err *e)
{
	auto_secret struct secret ms = { .len = SESSION_KEY_LEN };
	int r = crypto_kdf_sev(z, "sev-master-secret", nonce, SESSION_NONCE_LEN, &ms, e);

	out->kek.len = SESSION_KEY_LEN;
	out->kik.len = SESSION_KEY_LEN;
	if (r == 0)
		r = crypto_kdf_sev(&ms, "sev-kek", NULL, 0, &out->kek, e);
	if (r == 0)
		r = crypto_kdf_sev(&ms, "sev-kik", NULL, 0, &out->kik, e);
	return r;
}

int session_master_agree(const struct ec_key *own, const struct ec_key *peer,
			 const uint8_t nonce[SESSION_NONCE_LEN], struct session_master *out,
			 struct err *e)
{
	auto_secret struct secret z = { 0 };
	int r = ec_key_derive(own, peer, &z, e);

	return r < 0 ? r : session_master_derive(&z, nonce, out, e);
}

int session_keys_random(struct session_keys *out, struct err *e)
{
	int r = secret_random(&out->tek, SESSION_KEY_LEN, e);

	return r < 0 ? r : secret_random(&out->tik, SESSION_KEY_LEN, e);
}

/* --- session buffer ------------------------------------------------------------------------- */

static int kek_xor(const struct session_master *m, const uint8_t iv[AES_IV_LEN], const uint8_t *in,
		   uint8_t *out, struct err *e)
{
	auto_ctr struct crypto_ctr *c = NULL;
	int r = crypto_ctr_new(m->kek.b, &c, e);

	return r < 0 ? r : crypto_ctr_xor(c, iv, in, out, TK_LEN, e);
}

static int policy_mac(const struct secret *tik, uint32_t policy, uint8_t out[HMAC_LEN],
		      struct err *e)
{
	uint8_t le[4];
	struct wr w = wr_of(le, sizeof(le));

	wr_le32(&w, policy);
	return crypto_hmac(tik->b, tik->len, le, sizeof(le), out, e);
}

int session_wrap(const struct session_master *m, const struct session_keys *k, uint32_t policy,
		 const uint8_t nonce[SESSION_NONCE_LEN], const uint8_t iv[AES_IV_LEN],
		 uint8_t out[SESSION_BUF_LEN], struct err *e)
{
	auto_secret struct secret tk = { .len = TK_LEN };
	int r;

	memcpy(tk.b, k->tek.b, SESSION_KEY_LEN);
	memcpy(tk.b + SESSION_KEY_LEN, k->tik.b, SESSION_KEY_LEN);
	memcpy(out, nonce, SESSION_NONCE_LEN);
	memcpy(out + WRAP_IV_AT, iv, AES_IV_LEN);
	r = kek_xor(m, iv, tk.b, out + WRAP_TK_AT, e);
	if (r == 0)
		r = crypto_hmac(m->kik.b, m->kik.len, out + WRAP_TK_AT, TK_LEN, out + WRAP_MAC_AT,
				e);
	return r < 0 ? r : policy_mac(&k->tik, policy, out + POLICY_MAC_AT, e);
}

static int mac_check(const uint8_t *got, const uint8_t *want, const char *what, struct err *e)
{
	if (!crypto_equal(got, want, HMAC_LEN))
		return err_set(e, -EBADMSG, "session: %s does not hold", what);
	return 0;
}

int session_unwrap(const struct session_master *m, uint32_t policy,
		   const uint8_t buf[SESSION_BUF_LEN], struct session_keys *out, struct err *e)
{
	auto_secret struct secret tk = { .len = TK_LEN };
	auto_session_keys struct session_keys k = {
		.tek.len = SESSION_KEY_LEN,
		.tik.len = SESSION_KEY_LEN,
	};
	uint8_t mac[HMAC_LEN];
	int r = crypto_hmac(m->kik.b, m->kik.len, buf + WRAP_TK_AT, TK_LEN, mac, e);

	if (r == 0)
		r = mac_check(buf + WRAP_MAC_AT, mac, "WRAP_MAC", e);
	if (r == 0)
		r = kek_xor(m, buf + WRAP_IV_AT, buf + WRAP_TK_AT, tk.b, e);
	if (r < 0)
		return r;
	memcpy(k.tek.b, tk.b, SESSION_KEY_LEN);
	memcpy(k.tik.b, tk.b + SESSION_KEY_LEN, SESSION_KEY_LEN);
	r = policy_mac(&k.tik, policy, mac, e);
	if (r == 0)
		r = mac_check(buf + POLICY_MAC_AT, mac, "POLICY_MAC", e);
	if (r == 0)
		*out = k;
	return r;
}

/* --- measurement ---------------------------------------------------------------------------- */

int session_measure(const struct secret *tik, const struct session_measured *m,
		    uint8_t mac[HMAC_LEN], struct err *e)
{
	uint8_t in[MEASURED_LEN];
	struct wr w = wr_of(in, sizeof(in));

	wr_u8(&w, MEASURE_DOMAIN);
	wr_u8(&w, m->api_major);
	wr_u8(&w, m->api_minor);
	wr_u8(&w, m->build);
	wr_le32(&w, m->policy);
	wr_bytes(&w, m->digest, SHA256_LEN);
	wr_bytes(&w, m->mnonce, SESSION_NONCE_LEN);
	if (!wr_ok(&w) || w.len != sizeof(in))
		return err_set(e, -EINVAL, "measurement: no room");
	return crypto_hmac(tik->b, tik->len, in, sizeof(in), mac, e);
}

/* --- packets -------------------------------------------------------------------------------- */

struct session_packer {
	struct crypto_ctr *ctr;
	struct crypto_hmac *hmac;
};

int session_packer_new(const struct session_keys *k, struct session_packer **out, struct err *e)
{
	auto_session_packer struct session_packer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "session: no memory");
	r = crypto_ctr_new(k->tek.b, &p->ctr, e);
	if (r == 0)
		r = crypto_hmac_new(k->tik.b, k->tik.len, &p->hmac, e);
	if (r < 0)
		return r;
	*out = steal_ptr(&p);
	return 0;
}

void session_packer_free(struct session_packer *p)
{
	if (!p)
		return;
	crypto_ctr_free(p->ctr);
	crypto_hmac_free(p->hmac);
	free(p);
}

/* What the MAC covers before the cipher text: domain, FLAGS, IV, GUEST_LENGTH, TRANS_LENGTH. */
static int packet_mac(struct session_packer *p, const struct session_packet *k,
		      const uint8_t hdr[SESSION_HDR_LEN], const uint8_t *cipher, uint32_t len,
		      uint8_t mac[HMAC_LEN], struct err *e)
{
	uint8_t head[1 + HDR_MAC_AT + 8];
	struct wr w = wr_of(head, sizeof(head));
	int r = crypto_hmac_start(p->hmac, e);

	wr_u8(&w, k->domain);
	wr_bytes(&w, hdr, HDR_MAC_AT);
	wr_le32(&w, len);
	wr_le32(&w, len);
	if (r == 0)
		r = crypto_hmac_add(p->hmac, head, sizeof(head), e);
	if (r == 0)
		r = crypto_hmac_add(p->hmac, cipher, len, e);
	if (r == 0 && k->measure)
		r = crypto_hmac_add(p->hmac, k->measure, HMAC_LEN, e);
	return r < 0 ? r : crypto_hmac_end(p->hmac, mac, e);
}

int session_seal(struct session_packer *p, const struct session_packet *k, const uint8_t *plain,
		 uint32_t len, uint8_t hdr[SESSION_HDR_LEN], uint8_t *cipher, struct err *e)
{
	int r;

	memset(hdr, 0, HDR_IV_AT);
	r = crypto_random(hdr + HDR_IV_AT, AES_IV_LEN, e);
	if (r == 0)
		r = crypto_ctr_xor(p->ctr, hdr + HDR_IV_AT, plain, cipher, len, e);
	return r < 0 ? r : packet_mac(p, k, hdr, cipher, len, hdr + HDR_MAC_AT, e);
}

static int flags_check(const uint8_t hdr[SESSION_HDR_LEN], struct err *e)
{
	struct rd in = rd_of(hdr, SESSION_HDR_LEN);
	uint32_t flags = 0;

	if (rd_le32(&in, &flags) < 0 || (flags & ~FLAG_COMPRESSED))
		return err_set(e, -EINVAL, "packet: unknown flags %#x", flags);
	if (flags & FLAG_COMPRESSED)
		return err_set(e, -ENOTSUP, "packet: compressed");
	return 0;
}

int session_open(struct session_packer *p, const struct session_packet *k,
		 const uint8_t hdr[SESSION_HDR_LEN], const uint8_t *cipher, uint32_t len,
		 uint8_t *plain, struct err *e)
{
	uint8_t mac[HMAC_LEN];
	int r = packet_mac(p, k, hdr, cipher, len, mac, e);

	if (r < 0)
		return r;
	if (!crypto_equal(mac, hdr + HDR_MAC_AT, HMAC_LEN))
		return err_set(e, -EBADMSG, "packet: the MAC does not hold");
	r = flags_check(hdr, e);
	return r < 0 ? r : crypto_ctr_xor(p->ctr, hdr + HDR_IV_AT, cipher, plain, len, e);
}
