/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/owner.h"
#include "owner/secret.h"

struct secret_cfg {
	struct cli_common common;
	struct cli_owner_keys keys;
	struct opt_list secrets;
	const char *measurement, *out;
	bool base64;
};

static const struct opt secret_opts[] = {
	CLI_COMMON_OPTS(struct secret_cfg),
	opt_list(struct secret_cfg, secrets, "secret", "GUID:FILE",
		 "a secret and what the guest finds it by; may be repeated"),
	CLI_OWNER_TIK_OPTS(struct secret_cfg),
	opt_str(struct secret_cfg, keys.tek, "tek", "FILE",
		"the session's encryption key, 16 bytes"),
	opt_str(struct secret_cfg, measurement, "measurement", "FILE|BASE64",
		"what LAUNCH_MEASURE gave, 48 bytes; verify it first"),
	opt_str(struct secret_cfg, out, "out", "PREFIX",
		"what the files' names begin with; default vm"),
	opt_bool(struct secret_cfg, base64, "base64",
		 "also as base64 text, which QEMU's sev-inject-launch-secret takes"),
	opt_end,
};

static const struct opt_cmd secret_cmd = {
	.name = "sevmig owner secret",
	.args = "",
	.help = "Encrypt secrets for a guest that was measured and waits to be started.",
	.opts = secret_opts,
};

/* Files and what was read from them; wiped at the end. */
struct secrets {
	struct owner_secret v[OPT_LIST_MAX];
	struct buf file[OPT_LIST_MAX];
	size_t n;
	struct buf table;
};

static void secrets_wipe(struct secrets *s)
{
	for (size_t i = 0; i < s->n; i++)
		cli_owner_secret_wipe(&s->file[i]);
	cli_owner_secret_wipe(&s->table);
}

#define GUID_TEXT_LEN 36u

static int secret_add(struct secrets *s, const char *guid_file, struct err *e)
{
	struct owner_secret *to = &s->v[s->n];
	struct buf *b = &s->file[s->n];
	char guid[GUID_TEXT_LEN + 1];
	int r;

	if (strcspn(guid_file, ":") != GUID_TEXT_LEN || !guid_file[GUID_TEXT_LEN + 1])
		return err_set(e, -EINVAL, "secret %s: not GUID:FILE", guid_file);
	memcpy(guid, guid_file, GUID_TEXT_LEN);
	guid[GUID_TEXT_LEN] = '\0';
	r = owner_guid_get(guid, to->guid, e);
	s->n++;
	if (r == 0)
		r = cli_owner_secret_read(guid_file + GUID_TEXT_LEN + 1, PSP_SECRET_MAX, b, e);
	to->p = b->p;
	to->len = b->len;
	return r;
}

static int table_make(const struct secret_cfg *cfg, struct secrets *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < cfg->secrets.n && r == 0; i++)
		r = secret_add(s, cfg->secrets.v[i], e);
	return r < 0 ? r : owner_secret_table(s->v, s->n, &s->table, e);
}

struct packet {
	uint8_t hdr[PSP_HDR_LEN], cipher[PSP_SECRET_MAX];
	size_t len;
};

static int packet_make(const struct secret_cfg *cfg, struct packet *out, struct err *e)
{
	auto_session_keys struct session_keys keys = { 0 };
	cleanup_with(secrets_wipe) struct secrets s = { 0 };
	uint8_t measurement[PSP_MEASURE_LEN];
	int r = cli_owner_keys_read(&cfg->keys, &keys.tek, &keys.tik, e);

	if (r == 0)
		r = cli_owner_bytes_get(cfg->measurement, measurement, sizeof(measurement), e);
	if (r == 0)
		r = table_make(cfg, &s, e);
	if (r < 0)
		return r;
	out->len = s.table.len;
	return owner_secret_seal(&keys, measurement + PSP_MEASURE_MAC, s.table.p, s.table.len,
				 out->hdr, out->cipher, e);
}

static int packet_write(const struct secret_cfg *cfg, const struct packet *p, json_t *names,
			struct err *e)
{
	int r = cli_owner_file_write(cfg->out, "_secret_header.bin", p->hdr, sizeof(p->hdr), 0644,
				     names, e);

	if (r == 0)
		r = cli_owner_file_write(cfg->out, "_secret.bin", p->cipher, p->len, 0644, names,
					 e);
	if (r == 0 && cfg->base64)
		r = cli_owner_text_write(cfg->out, "_secret_header.b64", p->hdr, sizeof(p->hdr),
					 names, e);
	if (r == 0 && cfg->base64)
		r = cli_owner_text_write(cfg->out, "_secret.b64", p->cipher, p->len, names, e);
	return r;
}

static void packet_print(const struct secret_cfg *cfg, const struct packet *p, json_t *names)
{
	static char hdr[OWNER_BASE64_LEN(PSP_HDR_LEN)], cipher[OWNER_BASE64_LEN(PSP_SECRET_MAX)];

	if (!cfg->common.json) {
		cli_owner_names_print(names);
		json_decref(names);
		return;
	}
	owner_base64_put(p->hdr, sizeof(p->hdr), hdr);
	owner_base64_put(p->cipher, p->len, cipher);
	cli_json_print(json_pack("{s:s, s:s, s:o}", "packet-header", hdr, "secret", cipher, "files",
				 names));
}

int cli_owner_secret_main(int argc, char **argv)
{
	static struct packet packet;
	struct secret_cfg cfg = { .out = "vm" };
	auto_of(json) json_t *names = json_array();
	struct opt_args args;
	struct err e = { 0 };
	int code, r;

	if (!cli_parse(&secret_cmd, &cfg, argc, argv, &args, &code))
		return code;
	if (!cfg.secrets.n || !cfg.measurement)
		return cli_usage(&secret_cmd, "--secret and --measurement must be given");
	if (!cfg.keys.tk && (!cfg.keys.tik || !cfg.keys.tek))
		return cli_usage(&secret_cmd, "--tik and --tek, or --tk, must be given");
	r = packet_make(&cfg, &packet, &e);
	if (r == 0)
		r = packet_write(&cfg, &packet, names, &e);
	if (r < 0)
		return cli_fail(&cfg.common, &e, CLI_FAILED);
	packet_print(&cfg, &packet, steal_ptr(&names));
	return CLI_OK;
}
