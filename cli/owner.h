/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the commands of the guest owner share: certificates, keys and packets in files. Wherever
 * one is read, base64 text is taken as well, because that is what QEMU hands out. */

#include "base/buf.h"
#include "cli/cli.h"
#include "crypto/secret.h"
#include "owner/joined.h"
#include "owner/root.h"

/* --- a platform's chain and who vouches for it ------------------------------------------------ */

struct cli_owner_chain {
	struct opt_list files;
	const char *root, *print;
};

#define CLI_OWNER_CHAIN_OPTS(cfg)                                                                  \
	opt_list(cfg, chain.files, "chain", "FILE",                                                \
		 "certificates of the platform, joined or not; may be repeated"),                  \
		opt_str(cfg, chain.root, "root", "FILE", "the ARK certificate to trust"),          \
		opt_str(cfg, chain.print, "root-fingerprint", "HEX",                               \
			"SHA-256 of the ARK certificate to trust, instead of --root")

struct cli_owner_platform {
	struct owner_set set;
	struct owner_certs certs; /* borrowed from the set */
	struct amdcert ark;       /* borrowed from the set */
	char id[OWNER_PLATFORM_ID_LEN];
	char print[2 * SHA256_LEN + 1]; /* of the root */
};

/* Certificates of all files. */
int must_check cli_owner_set_read(const struct opt_list *files, struct owner_set *set,
				  struct err *e);
/* Exactly one root is named; read everything and verify the chain up to it. */
int must_check cli_owner_platform_get(const struct cli_owner_chain *c,
				      struct cli_owner_platform *out, struct err *e);
/* NULL, or what is wrong with the options. */
const char *cli_owner_chain_usage(const struct cli_owner_chain *c);
void cli_owner_platform_print(const struct cli_owner_platform *p);
/* Adds "platform-id" and "root". */
void cli_owner_platform_json(const struct cli_owner_platform *p, json_t *to);

/* --- keys ------------------------------------------------------------------------------------ */

struct cli_owner_keys {
	const char *tik, *tek, *tk;
};

#define CLI_OWNER_TIK_OPTS(cfg)                                                                    \
	opt_str(cfg, keys.tik, "tik", "FILE", "the session's integrity key, 16 bytes"),            \
		opt_str(cfg, keys.tk, "tk", "FILE",                                                \
			"both keys in one file, as sev-tool keeps them: TEK, TIK")

/* A file with something secret: no copy of it is left in freed memory. Wipe it in any case. */
int must_check cli_owner_secret_read(const char *path, size_t max, struct buf *out, struct err *e);
void cli_owner_secret_wipe(struct buf *b);
/* tek may be NULL: not wanted. */
int must_check cli_owner_keys_read(const struct cli_owner_keys *k, struct secret *tek,
				   struct secret *tik, struct err *e);

/* --- files ------------------------------------------------------------------------------------ */

/* len bytes from a file, which holds them or base64 of them; or from base64 text itself. */
int must_check cli_owner_bytes_get(const char *file_or_text, uint8_t *out, size_t len,
				   struct err *e);
/* A SHA-256: a file with 32 bytes or with hex, or hex itself. */
int must_check cli_owner_digest_get(const char *file_or_hex, uint8_t out[SHA256_LEN],
				    struct err *e);
/* Write PREFIX SUFFIX and add its name to names. */
int must_check cli_owner_file_write(const char *prefix, const char *suffix, const void *p,
				    size_t len, mode_t mode, json_t *names, struct err *e);
/* The same as base64 text in one line. */
int must_check cli_owner_text_write(const char *prefix, const char *suffix, const uint8_t *p,
				    size_t len, json_t *names, struct err *e);
void cli_owner_names_print(const json_t *names);

/* --- what a launch should have measured ------------------------------------------------------ */

struct cli_owner_expect {
	const char *digest, *firmware, *kernel, *initrd, *append, *cpu_type;
	uint32_t cpu_signature;
	unsigned vcpus, cbit;
	uint64_t memory;
	bool kernel_hashes, init2, sevmig_guest;
};

/* NULL, or what is wrong with the options. */
const char *cli_owner_expect_usage(const struct cli_owner_expect *x, uint32_t policy);
/* Is anything said about what should have been measured? */
bool cli_owner_expect_given(const struct cli_owner_expect *x);
int must_check cli_owner_expect_digest(const struct cli_owner_expect *x, uint32_t policy,
				       uint8_t out[SHA256_LEN], struct err *e);
/* owner_boot.c: of a guest that "sevmig run" starts; signature: of its vCPUs, with SEV-ES. */
int must_check cli_owner_boot_digest(const struct cli_owner_expect *x, uint32_t policy,
				     uint32_t signature, uint8_t out[SHA256_LEN], struct err *e);
