/* SPDX-License-Identifier: Apache-2.0 */

/* What AMD's factory does: the root and signing keys, the chip's id and endorsement key. */

#include <errno.h>
#include <string.h>

#include "psp/state.h"

#define DEFAULT_API_MAJOR 1
#define DEFAULT_API_MINOR 55
#define DEFAULT_BUILD 21
#define DEFAULT_ROOT_BITS 4096

DEFINE_AUTO(psp, struct psp *, psp_free)
#define auto_psp auto_of(psp)

void psp_chip_fini(struct psp_chip *c)
{
	rsa_key_free(c->ark);
	rsa_key_free(c->ask);
	ec_key_free(c->cek);
	memset(c, 0, sizeof(*c));
}

void psp_free(struct psp *p)
{
	if (!p)
		return;
	psp_guest_remove_all(p);
	psp_identity_fini(&p->id);
	psp_chip_fini(&p->chip);
	free(p);
}

static int root_make(struct psp_chip *c, unsigned bits, struct err *e)
{
	struct amdcert_head ark = { .usage = SEVCERT_ARK }, ask = { .usage = SEVCERT_ASK };
	int r = crypto_random(ark.key_id, sizeof(ark.key_id), e);

	if (r == 0)
		r = crypto_random(ask.key_id, sizeof(ask.key_id), e);
	memcpy(ark.certifying_id, ark.key_id, sizeof(ark.key_id));
	memcpy(ask.certifying_id, ark.key_id, sizeof(ark.key_id));
	if (r == 0)
		r = rsa_key_generate(bits, &c->ark, e);
	if (r == 0)
		r = rsa_key_generate(bits, &c->ask, e);
	if (r == 0)
		r = amdcert_make(&ark, c->ark, c->ark, c->ark_cert, &c->amd_len, e);
	return r < 0 ? r : amdcert_make(&ask, c->ask, c->ark, c->ask_cert, &c->amd_len, e);
}

/* Certificates of another platform's root; its keys stay there. */
static int root_borrow(struct psp_chip *c, const struct psp_chip *ca, struct err *e)
{
	if (!ca->ask)
		return err_set(e, -ENOKEY, "the platform that is to sign has no ASK key");
	memcpy(c->ark_cert, ca->ark_cert, sizeof(c->ark_cert));
	memcpy(c->ask_cert, ca->ask_cert, sizeof(c->ask_cert));
	c->amd_len = ca->amd_len;
	return 0;
}

static int cek_make(struct psp_chip *c, const struct rsa_key *ask, struct err *e)
{
	const struct sevcert_head head = {
		.api_major = c->api_major,
		.api_minor = c->api_minor,
		.usage = SEVCERT_CEK,
		.algo = SEVCERT_ECDSA_SHA256,
	};
	int r = ec_key_generate(&c->cek, e);

	if (r == 0)
		r = sevcert_make(&head, c->cek, c->cek_cert, e);
	return r < 0 ? r : sevcert_sign_rsa(c->cek_cert, 0, SEVCERT_ASK, ask, e);
}

static int chip_make(struct psp_chip *c, const struct psp_make *m, struct err *e)
{
	bool given = m->api_major || m->api_minor || m->build;
	int r;

	c->api_major = given ? m->api_major : DEFAULT_API_MAJOR;
	c->api_minor = given ? m->api_minor : DEFAULT_API_MINOR;
	c->build = given ? m->build : DEFAULT_BUILD;
	r = crypto_random(c->id, sizeof(c->id), e);
	if (r == 0)
		r = m->ca ? root_borrow(c, &m->ca->chip, e)
			  : root_make(c, m->root_bits ? m->root_bits : DEFAULT_ROOT_BITS, e);
	return r < 0 ? r : cek_make(c, m->ca ? m->ca->chip.ask : c->ask, e);
}

/* The way a real owner takes a platform over: PEK_CSR, signature, PEK_CERT_IMPORT. */
static int chip_own(struct psp *p, const struct psp *owner, struct err *e)
{
	uint8_t csr[PSP_CERT_LEN];
	int r;

	if (!owner->id.present || !owner->id.oca)
		return err_set(e, -ENOKEY, "the platform that is to own has no OCA key");
	r = psp_identity_make(p, e);
	if (r == 0)
		r = psp_identity_csr(p, csr, e);
	if (r == 0)
		r = sevcert_sign(csr, 0, SEVCERT_OCA, owner->id.oca, e);
	return r < 0 ? r : psp_identity_own(p, csr, owner->id.oca_cert, e);
}

int psp_make(const struct psp_make *m, struct psp **out, struct err *e)
{
	auto_psp struct psp *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "platform: no memory");
	r = chip_make(&p->chip, m, e);
	if (r == 0 && m->oca)
		r = chip_own(p, m->oca, e);
	if (r < 0)
		return err_wrap(e, r, "making a platform");
	p->nv_changes = 1;
	*out = steal_ptr(&p);
	return 0;
}

int psp_amd_chain(const struct psp *p, uint8_t *out, size_t cap, size_t *len, struct err *e)
{
	size_t need = 2 * p->chip.amd_len;

	if (cap < need)
		return err_set(e, -EMSGSIZE, "ASK and ARK take %zu bytes, room is for %zu", need,
			       cap);
	memcpy(out, p->chip.ask_cert, p->chip.amd_len);
	memcpy(out + p->chip.amd_len, p->chip.ark_cert, p->chip.amd_len);
	*len = need;
	return 0;
}
