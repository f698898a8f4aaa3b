/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/report.h"

#include <errno.h>

#include "base/rdwr.h"
#include "crypto/key.h"

int owner_report_get(const uint8_t *p, size_t len, struct owner_report *out, struct err *e)
{
	struct owner_report got = { .raw = p };
	struct rd in = rd_of(p, len);

	if (len != PSP_REPORT_LEN)
		return err_set(e, -EPROTO, "report: %zu bytes, not %u", len, PSP_REPORT_LEN);
	rd_span(&in, &got.mnonce, PSP_NONCE_LEN);
	rd_span(&in, &got.digest, PSP_DIGEST_LEN);
	rd_le32(&in, &got.policy);
	rd_le32(&in, &got.sig_usage);
	rd_le32(&in, &got.sig_algo);
	if (!rd_ok(&in))
		return err_set(e, -EPROTO, "report: short");
	if (got.sig_usage != SEVCERT_PEK)
		return err_set(e, -EPROTO, "report: signed by a key of usage %#x, not by PEK",
			       got.sig_usage);
	if (got.sig_algo != SEVCERT_ECDSA_SHA256)
		return err_set(e, -EPROTO, "report: unknown signature algorithm %#x", got.sig_algo);
	*out = got;
	return 0;
}

int owner_report_verify(const struct owner_report *r, const struct sevcert *pek, struct err *e)
{
	auto_ec_key struct ec_key *key = NULL;
	int ret;

	if (pek->usage != SEVCERT_PEK)
		return err_set(e, -EPROTO, "a certificate for %s, not for PEK",
			       sevcert_usage_name(pek->usage));
	ret = sevcert_ec_key(pek, &key, e);
	if (ret == 0)
		ret = ec_key_verify(key, CRYPTO_SHA256, r->raw, PSP_REPORT_SIGNED_LEN,
				    r->raw + PSP_REPORT_SIG, e);
	return ret < 0 ? err_wrap(e, ret, "report is not signed by this PEK") : 0;
}
