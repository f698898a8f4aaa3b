/* SPDX-License-Identifier: Apache-2.0 */

/* The keys a platform's owner can replace: OCA, PEK, PDH, and their certificates. Each function
 * makes everything first and swaps it in at the end, so a failure leaves the old identity. */

#include <errno.h>
#include <string.h>

#include "psp/state.h"

#define SLOT_OWNER 0
#define SLOT_CHIP 1

void psp_identity_fini(struct psp_identity *id)
{
	ec_key_free(id->oca);
	ec_key_free(id->pek);
	ec_key_free(id->pdh);
	memset(id, 0, sizeof(*id));
}

#define auto_identity cleanup_with(psp_identity_fini)

static int cert_make(const struct psp_chip *c, uint32_t usage, const struct ec_key *key,
		     uint8_t out[PSP_CERT_LEN], struct err *e)
{
	const struct sevcert_head head = {
		.api_major = c->api_major,
		.api_minor = c->api_minor,
		.usage = usage,
		.algo = usage == SEVCERT_PDH ? SEVCERT_ECDH_SHA256 : SEVCERT_ECDSA_SHA256,
	};

	return sevcert_make(&head, key, out, e);
}

static int oca_make(const struct psp_chip *c, struct psp_identity *id, struct err *e)
{
	int r = ec_key_generate(&id->oca, e);

	if (r == 0)
		r = cert_make(c, SEVCERT_OCA, id->oca, id->oca_cert, e);
	return r < 0 ? r : sevcert_sign(id->oca_cert, SLOT_OWNER, SEVCERT_OCA, id->oca, e);
}

static int pek_make(const struct psp_chip *c, struct psp_identity *id, struct err *e)
{
	int r = ec_key_generate(&id->pek, e);

	if (r == 0)
		r = cert_make(c, SEVCERT_PEK, id->pek, id->pek_cert, e);
	if (r == 0)
		r = sevcert_sign(id->pek_cert, SLOT_OWNER, SEVCERT_OCA, id->oca, e);
	return r < 0 ? r : sevcert_sign(id->pek_cert, SLOT_CHIP, SEVCERT_CEK, c->cek, e);
}

/* A new PDH, signed by pek. */
static int pdh_make(const struct psp_chip *c, const struct ec_key *pek, struct ec_key **key,
		    uint8_t cert[PSP_CERT_LEN], struct err *e)
{
	int r = ec_key_generate(key, e);

	if (r == 0)
		r = cert_make(c, SEVCERT_PDH, *key, cert, e);
	return r < 0 ? r : sevcert_sign(cert, SLOT_OWNER, SEVCERT_PEK, pek, e);
}

static void identity_swap(struct psp *p, struct psp_identity *id)
{
	struct psp_identity old = p->id;

	p->id = *id;
	p->id.present = true;
	*id = old;
	p->nv_changes++;
}

int psp_identity_make(struct psp *p, struct err *e)
{
	auto_identity struct psp_identity id = { 0 };
	int r = oca_make(&p->chip, &id, e);

	if (r == 0)
		r = pek_make(&p->chip, &id, e);
	if (r == 0)
		r = pdh_make(&p->chip, id.pek, &id.pdh, id.pdh_cert, e);
	if (r < 0)
		return r;
	identity_swap(p, &id);
	return 0;
}

int psp_identity_make_pdh(struct psp *p, struct err *e)
{
	auto_ec_key struct ec_key *key = NULL;
	uint8_t cert[PSP_CERT_LEN];
	int r = pdh_make(&p->chip, p->id.pek, &key, cert, e);

	if (r < 0)
		return r;
	ec_key_free(p->id.pdh);
	p->id.pdh = steal_ptr(&key);
	memcpy(p->id.pdh_cert, cert, sizeof(cert));
	p->nv_changes++;
	return 0;
}

int psp_identity_csr(const struct psp *p, uint8_t out[PSP_CERT_LEN], struct err *e)
{
	return cert_make(&p->chip, SEVCERT_PEK, p->id.pek, out, e);
}

/* Owners' tools put their signature into the first empty slot; the chip's goes into the other. */
static unsigned chip_slot(const uint8_t cert[PSP_CERT_LEN])
{
	struct rd in = rd_of(cert, PSP_CERT_LEN);
	struct err e = { 0 };
	struct sevcert c;

	if (sevcert_get(&in, &c, &e) == 0 && c.sig[SLOT_CHIP].usage == SEVCERT_OCA)
		return SLOT_OWNER;
	return SLOT_CHIP;
}

int psp_identity_own(struct psp *p, const uint8_t cert[PSP_CERT_LEN],
		     const uint8_t oca[PSP_CERT_LEN], struct err *e)
{
	auto_ec_key struct ec_key *pdh = NULL;
	uint8_t pek_cert[PSP_CERT_LEN], pdh_cert[PSP_CERT_LEN];
	int r;

	memcpy(pek_cert, cert, PSP_CERT_LEN);
	r = sevcert_sign(pek_cert, chip_slot(cert), SEVCERT_CEK, p->chip.cek, e);
	if (r == 0)
		r = pdh_make(&p->chip, p->id.pek, &pdh, pdh_cert, e);
	if (r < 0)
		return r;
	ec_key_free(steal_ptr(&p->id.oca));
	ec_key_free(p->id.pdh);
	p->id.pdh = steal_ptr(&pdh);
	memcpy(p->id.oca_cert, oca, PSP_CERT_LEN);
	memcpy(p->id.pek_cert, pek_cert, PSP_CERT_LEN);
	memcpy(p->id.pdh_cert, pdh_cert, PSP_CERT_LEN);
	p->nv_changes++;
	return 0;
}
