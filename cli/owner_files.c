/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/psp.h"
#include "base/buf.h"
#include "base/fd.h"
#include "owner/text.h"

#define CHAIN_FILE_MAX 65536u
#define SMALL_FILE_MAX 65536u
#define CERT_FIRST_BYTE 1 /* every certificate begins with its version, 1, little endian */

/* --- bytes or base64 ------------------------------------------------------------------------- */

static int base64_get(const uint8_t *p, size_t len, struct buf *out, struct err *e)
{
	size_t n = 0;
	int r = buf_reserve(out, len / 4 * 3 + 3, e);

	if (r == 0)
		r = owner_base64_get((const char *)p, len, out->p, out->cap, &n, e);
	if (r == 0)
		out->len = n;
	return r;
}

int cli_owner_bytes_get(const char *file_or_text, uint8_t *out, size_t len, struct err *e)
{
	auto_buf struct buf raw = { 0 };
	size_t n = 0;
	int r = 0;

	if (access(file_or_text, F_OK) == 0)
		r = fd_file_read(file_or_text, SMALL_FILE_MAX, &raw, e);
	else
		r = buf_add(&raw, file_or_text, strlen(file_or_text), e);
	if (r < 0)
		return r;
	if (raw.len == len) {
		memcpy(out, raw.p, len);
		return 0;
	}
	r = owner_base64_get((const char *)raw.p, raw.len, out, len, &n, e);
	if (r == 0 && n != len)
		r = err_set(e, -EINVAL, "base64 text of %zu bytes", n);
	return r < 0 ? err_wrap(e, r, "%s: neither %zu bytes nor base64 of them", file_or_text, len)
		     : 0;
}

int cli_owner_digest_get(const char *file_or_hex, uint8_t out[SHA256_LEN], struct err *e)
{
	auto_buf struct buf raw = { 0 };
	char text[2 * SHA256_LEN + 1] = "";
	int r;

	if (access(file_or_hex, F_OK) != 0)
		return owner_hex_get(file_or_hex, out, SHA256_LEN, e);
	r = fd_file_read(file_or_hex, SMALL_FILE_MAX, &raw, e);
	if (r < 0)
		return r;
	if (raw.len == SHA256_LEN) {
		memcpy(out, raw.p, SHA256_LEN);
		return 0;
	}
	if (raw.len && raw.p[raw.len - 1] == '\n')
		raw.len--;
	if (raw.len == 2 * SHA256_LEN)
		memcpy(text, raw.p, raw.len);
	r = owner_hex_get(text, out, SHA256_LEN, e);
	return r < 0 ? err_wrap(e, r, "%s", file_or_hex) : 0;
}

/* --- certificates ---------------------------------------------------------------------------- */

static int chain_file_read(const char *path, struct buf *out, struct err *e)
{
	auto_buf struct buf raw = { 0 };
	int r = fd_file_read(path, CHAIN_FILE_MAX, &raw, e);

	if (r < 0)
		return r;
	if (!raw.len || raw.p[0] == CERT_FIRST_BYTE)
		return buf_add(out, raw.p, raw.len, e);
	r = base64_get(raw.p, raw.len, out, e);
	return r < 0 ? err_wrap(e, r, "%s: neither certificates nor base64 of them", path) : 0;
}

int cli_owner_set_read(const struct opt_list *files, struct owner_set *set, struct err *e)
{
	for (size_t i = 0; i < files->n; i++) {
		auto_buf struct buf b = { 0 };
		int r = chain_file_read(files->v[i], &b, e);

		if (r < 0)
			return r;
		r = owner_set_add(set, b.p, b.len, e);
		if (r < 0)
			return err_wrap(e, r, "%s", files->v[i]);
	}
	return 0;
}

const char *cli_owner_chain_usage(const struct cli_owner_chain *c)
{
	if (!c->files.n)
		return "--chain must be given";
	if (!c->root == !c->print)
		return "say whom to trust, by --root or by --root-fingerprint: a chain vouches for "
		       "itself otherwise";
	return NULL;
}

/* The root given comes first, so that one in the chain that differs is refused as such. */
static int root_read(const struct cli_owner_chain *c, struct owner_set *set, struct err *e)
{
	auto_buf struct buf b = { 0 };
	struct amdcert ark;
	int r;

	if (!c->root)
		return 0;
	r = chain_file_read(c->root, &b, e);
	if (r < 0)
		return r;
	r = owner_root_get(b.p, b.len, &ark, e);
	if (r == 0)
		r = owner_set_add(set, b.p, b.len, e);
	return r < 0 ? err_wrap(e, r, "root %s", c->root) : 0;
}

static int print_check(const struct cli_owner_chain *c, const uint8_t *ark, size_t len,
		       struct err *e)
{
	uint8_t want[SHA256_LEN];
	int r;

	if (!c->print)
		return 0;
	r = owner_hex_get(c->print, want, sizeof(want), e);
	if (r < 0)
		return err_wrap(e, r, "root fingerprint");
	return owner_root_check(ark, len, want, e);
}

static int platform_verify(const struct cli_owner_chain *c, struct cli_owner_platform *p,
			   struct err *e)
{
	uint8_t print[SHA256_LEN];
	size_t len = 0;
	const uint8_t *ark = owner_set_find(&p->set, SEVCERT_ARK, &len);
	int r = owner_set_certs(&p->set, &p->certs, e);

	if (r == 0)
		r = owner_root_get(ark, len, &p->ark, e);
	if (r == 0)
		r = print_check(c, ark, len, e);
	if (r == 0)
		r = owner_chain_verify(&p->certs, ark, len, e);
	if (r == 0)
		r = crypto_sha256(ark, len, print, e);
	if (r < 0)
		return r;
	owner_hex_put(print, sizeof(print), p->print);
	return owner_platform_id(&p->certs, p->id, e);
}

int cli_owner_platform_get(const struct cli_owner_chain *c, struct cli_owner_platform *out,
			   struct err *e)
{
	int r;

	memset(out, 0, sizeof(*out));
	r = root_read(c, &out->set, e);
	if (r == 0)
		r = cli_owner_set_read(&c->files, &out->set, e);
	if (r == 0)
		r = platform_verify(c, out, e);
	return r < 0 ? err_wrap(e, r, "chain") : 0;
}

void cli_owner_platform_print(const struct cli_owner_platform *p)
{
	const char *claim = owner_root_claim(&p->ark);

	printf("chain        ARK > ASK > CEK > PEK > PDH holds, OCA > PEK too\nplatform     %s\n"
	       "root         %s%s%s\n",
	       p->id, p->print, claim ? "\n             with the key id of AMD's root for " : "",
	       claim ? claim : "");
}

void cli_owner_platform_json(const struct cli_owner_platform *p, json_t *to)
{
	const char *claim = owner_root_claim(&p->ark);
	char id[2 * AMDCERT_KEY_ID_LEN + 1];

	owner_hex_put(p->ark.key_id, AMDCERT_KEY_ID_LEN, id);
	json_object_set_new(to, "platform-id", json_string(p->id));
	json_object_set_new(to, "root",
			    json_pack("{s:s, s:s, s:s?}", "fingerprint", p->print, "key-id", id,
				      "generation", claim));
}

/* --- keys ------------------------------------------------------------------------------------ */

/* Reading grows the buffer by this much at a time, up to the read that finds the end. */
#define READ_STEP 65536u

int cli_owner_secret_read(const char *path, size_t max, struct buf *out, struct err *e)
{
	int r = buf_reserve(out, max + 2 * READ_STEP, e);

	return r < 0 ? r : fd_file_read(path, max, out, e);
}

void cli_owner_secret_wipe(struct buf *b)
{
	if (b->p)
		crypto_wipe(b->p, b->cap);
	buf_fini(b);
}

int cli_owner_keys_read(const struct cli_owner_keys *k, struct secret *tek, struct secret *tik,
			struct err *e)
{
	auto_secret struct secret both = { 0 };
	int r;

	if (!k->tk) {
		r = tek ? secret_file_read(k->tek, PSP_KEY_LEN, tek, e) : 0;
		return r < 0 ? r : secret_file_read(k->tik, PSP_KEY_LEN, tik, e);
	}
	r = secret_file_read(k->tk, 2 * PSP_KEY_LEN, &both, e);
	if (r < 0)
		return r;
	if (tek) {
		tek->len = PSP_KEY_LEN;
		memcpy(tek->b, both.b, PSP_KEY_LEN);
	}
	tik->len = PSP_KEY_LEN;
	memcpy(tik->b, both.b + PSP_KEY_LEN, PSP_KEY_LEN);
	return 0;
}

/* --- output ---------------------------------------------------------------------------------- */

int cli_owner_file_write(const char *prefix, const char *suffix, const void *p, size_t len,
			 mode_t mode, json_t *names, struct err *e)
{
	auto_mem char *path = NULL;
	int r;

	if (asprintf(&path, "%s%s", prefix, suffix) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = fd_file_replace(path, p, len, mode, e);
	if (r == 0)
		json_array_append_new(names, json_string(path));
	return r;
}

int cli_owner_text_write(const char *prefix, const char *suffix, const uint8_t *p, size_t len,
			 json_t *names, struct err *e)
{
	auto_mem char *text = malloc(OWNER_BASE64_LEN(len));

	if (!text)
		return err_set(e, -ENOMEM, "no memory");
	owner_base64_put(p, len, text);
	return cli_owner_file_write(prefix, suffix, text, strlen(text), 0644, names, e);
}

void cli_owner_names_print(const json_t *names)
{
	size_t i;
	json_t *name;

	json_array_foreach (names, i, name)
		printf("%s\n", json_string_value(name));
}
