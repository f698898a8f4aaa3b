/* SPDX-License-Identifier: Apache-2.0 */

/* /dev/sev as sev-tool and sevctl use it. */

#include "tests/e2e/sev_client.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* SEV certificate: offsets and values of the SEV API. */
#define AT_USAGE 0x8
#define AT_ALGO 0xc
#define AT_CURVE 0x10
#define AT_QX 0x14
#define AT_QY 0x5c
#define AT_SIG1_USAGE 0x414
#define AT_SIG1_ALGO 0x418
#define AT_SIG1 0x41c
#define AT_SIG2_USAGE 0x61c
#define SIGNED_LEN 0x414
#define PUBKEY_LEN 1028
#define COMPONENT 72
#define USAGE_OCA 0x1001u
#define USAGE_PEK 0x1002u
#define USAGE_CEK 0x1004u
#define USAGE_NONE 0x1000u
#define ECDSA_SHA256 2u

#define STATUS_OWNER 1u

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* --- an owner outside the platform ----------------------------------------------------------- */

struct owner {
	EVP_PKEY *key;
};

static void number_put(uint8_t out[COMPONENT], const BIGNUM *n)
{
	want(BN_bn2lebinpad(n, out, COMPONENT) == COMPONENT);
}

void owner_sign(const struct owner *o, uint8_t cert[CERT_LEN])
{
	uint8_t der[160];
	const uint8_t *at = der;
	size_t len = sizeof(der);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	ECDSA_SIG *sig;

	want(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, o->key) == 1);
	want(EVP_DigestSign(md, der, &len, cert, SIGNED_LEN) == 1);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	put32(cert + AT_SIG1_USAGE, USAGE_OCA);
	put32(cert + AT_SIG1_ALGO, ECDSA_SHA256);
	number_put(cert + AT_SIG1, ECDSA_SIG_get0_r(sig));
	number_put(cert + AT_SIG1 + COMPONENT, ECDSA_SIG_get0_s(sig));
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(md);
}

struct owner *owner_new(uint8_t oca[CERT_LEN])
{
	struct owner *o = calloc(1, sizeof(*o));
	BIGNUM *x = NULL, *y = NULL;

	want(o);
	o->key = EVP_EC_gen("P-384");
	want(EVP_PKEY_get_bn_param(o->key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1);
	want(EVP_PKEY_get_bn_param(o->key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1);
	memset(oca, 0, CERT_LEN);
	put32(oca, 1);
	put32(oca + AT_USAGE, USAGE_OCA);
	put32(oca + AT_ALGO, ECDSA_SHA256);
	put32(oca + AT_CURVE, 2);
	number_put(oca + AT_QX, x);
	number_put(oca + AT_QY, y);
	put32(oca + AT_SIG2_USAGE, USAGE_NONE);
	owner_sign(o, oca);
	BN_free(x);
	BN_free(y);
	return o;
}

/* --- what sev-tool's own tests do ------------------------------------------------------------ */

static uint32_t flags_get(int fd)
{
	struct sev_user_data_status st = { 0 };
	uint32_t fw;

	want(sev_issue(fd, SEV_PLATFORM_STATUS, &st, &fw) == 0 && fw == 0);
	want(st.api_major > 0 || st.api_minor >= 17);
	return st.flags;
}

void platform_identity(void)
{
	int fd = sev_open(O_RDWR);
	struct certs a, b, c, d;
	uint32_t fw;

	want(sev_issue(fd, SEV_FACTORY_RESET, NULL, &fw) == 0 && fw == 0);
	want(sev_issue(fd, SEV_PEK_GEN, NULL, &fw) == 0 && fw == 0);
	certs_get(fd, &a);
	want(get32(a.chain + AT_USAGE) == USAGE_PEK);
	want(get32(a.chain + CERT_LEN + AT_USAGE) == USAGE_OCA);
	want(get32(a.chain + 2 * CERT_LEN + AT_USAGE) == USAGE_CEK);

	want(sev_issue(fd, SEV_PDH_GEN, NULL, &fw) == 0 && fw == 0);
	certs_get(fd, &b);
	want(memcmp(a.pdh, b.pdh, CERT_LEN) != 0 && memcmp(a.chain, b.chain, CHAIN_LEN) == 0);

	want(sev_issue(fd, SEV_PEK_GEN, NULL, &fw) == 0 && fw == 0);
	certs_get(fd, &c);
	want(memcmp(b.pdh, c.pdh, CERT_LEN) != 0 && memcmp(b.chain, c.chain, CERT_LEN) != 0);
	/* The chip stays the same one. */
	want(memcmp(b.chain + 2 * CERT_LEN + AT_CURVE, c.chain + 2 * CERT_LEN + AT_CURVE,
		    PUBKEY_LEN) == 0);

	close(fd);
	fd = sev_open(O_RDWR);
	certs_get(fd, &d);
	want(memcmp(&c, &d, sizeof(c)) == 0);
	close(fd);
}

/* Lengths are asked for with nothing to write to: EIO, status 4, the length. */
void platform_queries(void)
{
	struct sev_user_data_pdh_cert_export pdh = { 0 };
	struct sev_user_data_pek_csr csr = { 0 };
	struct sev_user_data_get_id2 id2 = { 0 };
	struct sev_user_data_get_id id = { 0 };
	int fd = sev_open(O_RDWR);
	uint8_t chip[64] = { 0 };
	uint32_t fw;

	want(sev_issue(fd, SEV_PEK_CSR, &csr, &fw) == -EIO && fw == SEV_RET_INVALID_LEN);
	want(csr.length == CERT_LEN);
	want(sev_issue(fd, SEV_PDH_CERT_EXPORT, &pdh, &fw) == -EIO && fw == SEV_RET_INVALID_LEN);
	want(pdh.pdh_cert_len == CERT_LEN && pdh.cert_chain_len == CHAIN_LEN);
	want(sev_issue(fd, SEV_GET_ID2, &id2, &fw) == -EIO && fw == SEV_RET_INVALID_LEN);
	want(id2.length == sizeof(chip));

	id2.address = (uintptr_t)chip;
	want(sev_issue(fd, SEV_GET_ID2, &id2, &fw) == 0 && fw == 0);
	want(sev_issue(fd, SEV_GET_ID, &id, &fw) == 0 && fw == 0);
	want(memcmp(id.socket1, chip, sizeof(chip)) == 0);
	close(fd);
}

void platform_owner(void)
{
	uint8_t csr[CERT_LEN], oca[CERT_LEN], bad[CERT_LEN];
	struct sev_user_data_pek_cert_import arg = { .pek_cert_address = (uintptr_t)csr,
						     .pek_cert_len = CERT_LEN,
						     .oca_cert_address = (uintptr_t)oca,
						     .oca_cert_len = CERT_LEN };
	struct owner *o = owner_new(oca);
	int fd = sev_open(O_RDWR);
	struct certs a, b;
	uint32_t fw;

	want(sev_issue(fd, SEV_PEK_GEN, NULL, &fw) == 0);
	want(!(flags_get(fd) & STATUS_OWNER));
	certs_get(fd, &a);
	csr_get(fd, csr);
	want(get32(csr + AT_SIG1_USAGE) == USAGE_NONE && get32(csr + AT_SIG2_USAGE) == USAGE_NONE);
	want(memcmp(csr + AT_CURVE, a.chain + AT_CURVE, PUBKEY_LEN) == 0);
	owner_sign(o, csr);

	memcpy(bad, csr, CERT_LEN);
	bad[AT_SIG1] ^= 1;
	arg.pek_cert_address = (uintptr_t)bad;
	want(sev_issue(fd, SEV_PEK_CERT_IMPORT, &arg, &fw) == -EIO && fw);
	want(!(flags_get(fd) & STATUS_OWNER));

	arg.pek_cert_address = (uintptr_t)csr;
	want(sev_issue(fd, SEV_PEK_CERT_IMPORT, &arg, &fw) == 0 && fw == 0);
	want(flags_get(fd) & STATUS_OWNER);
	certs_get(fd, &b);
	want(memcmp(a.pdh, b.pdh, CERT_LEN) != 0);
	want(memcmp(b.chain + CERT_LEN, oca, SIGNED_LEN) == 0);
	want(memcmp(b.chain + AT_CURVE, a.chain + AT_CURVE, PUBKEY_LEN) == 0);
	want(sev_issue(fd, SEV_PEK_CERT_IMPORT, &arg, &fw) == -EIO && fw == SEV_RET_ALREADY_OWNED);

	want(sev_issue(fd, SEV_FACTORY_RESET, NULL, &fw) == 0 && fw == 0);
	want(sev_issue(fd, SEV_PEK_GEN, NULL, &fw) == 0 && fw == 0);
	want(!(flags_get(fd) & STATUS_OWNER));
	close(fd);
}

void platform_read_only(void)
{
	static const uint32_t writers[] = { SEV_FACTORY_RESET, SEV_PEK_GEN, SEV_PEK_CSR,
					    SEV_PDH_GEN, SEV_PEK_CERT_IMPORT };
	struct sev_user_data_pek_cert_import arg = { 0 }; /* the largest of what they take */
	int ro = sev_open(O_RDONLY), wo = sev_open(O_WRONLY | O_CLOEXEC);
	struct sev_user_data_get_id id;
	uint32_t fw;

	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++)
		want(sev_issue(ro, writers[i], &arg, &fw) == -EPERM && fw == NO_CALL);
	flags_get(ro);
	want(sev_issue(ro, SEV_GET_ID, &id, &fw) == 0);
	want(sev_issue(wo, SEV_PDH_GEN, NULL, &fw) == 0);
	want((fcntl(wo, F_GETFD) & FD_CLOEXEC) && !(fcntl(ro, F_GETFD) & FD_CLOEXEC));
	want((fcntl(ro, F_GETFL) & O_ACCMODE) == O_RDONLY);
	want((fcntl(wo, F_GETFL) & O_ACCMODE) == O_WRONLY);
	close(ro);
	close(wo);
}

void platform_errors(void)
{
	struct sev_issue_cmd cmd = { .cmd = 200, .error = NO_CALL };
	int fd = sev_open(O_RDWR), other = open("/dev/null", O_RDWR);
	uint32_t fw;

	want(ioctl(fd, SEV_ISSUE_CMD, &cmd) < 0 && errno == EINVAL && cmd.error == NO_CALL);
	want(ioctl(fd, SEV_ISSUE_CMD, NULL) < 0 && errno == EFAULT);
	want(ioctl(fd, SEV_ISSUE_CMD, (void *)8) < 0 && errno == EFAULT);
	want(ioctl(fd, _IOWR('S', 7, int), &cmd) < 0 && errno == EINVAL);
	want(ioctl(fd, FIONREAD, &fw) < 0 && errno == EINVAL);
	want(sev_issue(fd, SEV_PLATFORM_STATUS, (void *)8, &fw) == -EFAULT);
	/* The number as programs pass it that keep it in an int. */
	cmd.cmd = SEV_PDH_GEN;
	want(ioctl(fd, (unsigned long)(long)(int)SEV_ISSUE_CMD, &cmd) == 0);
	want(ioctl(other, SEV_ISSUE_CMD, &cmd) < 0 && errno == ENOTTY);
	close(fd);
	want(ioctl(fd, SEV_ISSUE_CMD, &cmd) < 0 && errno == EBADF);
	close(other);
}
