/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files come in shared memory, which the host may change at any moment. So each piece is copied to
 * where it belongs in private memory first, and what is hashed is the copy.
 */

#include <string.h>

#include <bearssl/bearssl_hash.h>

#include <asm/bootparam.h>

#include "guest/firmware/firmware.h"

#define CHUNK 4096u

_Static_assert(sizeof(struct setup_header) <= PC_SETUP_LEN, "all of the setup header is there");

static const char *const file_names[FW_FILES] = {
	[FW_KERNEL] = "kernel",
	[FW_INITRD] = "initial RAM disk",
	[FW_CMDLINE] = "command line",
};

/* From shared to private memory, hashed there; a piece at a time, while it is in the cache. */
static void take(br_sha256_context *hash, uint64_t to, uint64_t from, uint64_t len)
{
	while (len) {
		size_t n = len < CHUNK ? len : CHUNK;

		memcpy(fw_private(to), fw_shared(from), n);
		br_sha256_update(hash, fw_private(to), n);
		to += n;
		from += n;
		len -= n;
	}
}

static void check(const br_sha256_context *hash, const struct fw_hashes *want, enum fw_file f)
{
	uint8_t is[FW_HASH_LEN];

	br_sha256_out(hash, is);
	if (!fw_same(is, want->of[f], FW_HASH_LEN))
		fw_die("the %s is not the measured one", file_names[f]);
	fw_say("%s verified", file_names[f]);
}

static void kernel_load(const struct pc_handover *h, const struct fw_hashes *want,
			struct fw_loaded *out)
{
	static uint8_t head[PC_KERNEL_HEAD_LEN];
	struct pc_kernel *k = &out->kernel;
	uint64_t from = h->kernel.at + sizeof(head);
	br_sha256_context hash;
	const char *why;

	br_sha256_init(&hash);
	if (h->kernel.len < sizeof(head))
		fw_die("the host hands over a kernel without a head");
	take(&hash, (uintptr_t)head, h->kernel.at, sizeof(head));
	why = pc_kernel_get(head, h->kernel.len, k);
	if (!why)
		why = pc_kernel_fits(k, h);
	if (why)
		fw_die("the host hands over %s", why);
	for (uint32_t i = 0; i < k->nseg; i++) {
		const struct pc_segment *s = &k->seg[i];

		take(&hash, s->at, from, s->filesz);
		memset(fw_private(s->at + s->filesz), 0, s->memsz - s->filesz);
		from += s->filesz;
	}
	check(&hash, want, FW_KERNEL);
}

static void initrd_load(const struct pc_handover *h, const struct fw_hashes *want,
			struct fw_loaded *out)
{
	struct setup_header setup;
	br_sha256_context hash;

	memcpy(&setup, out->kernel.setup, sizeof(setup));
	br_sha256_init(&hash);
	if (h->initrd.len) {
		out->initrd_at =
			fw_initrd_place(h, pc_kernel_end(&out->kernel), setup.initrd_addr_max);
		if (!out->initrd_at)
			fw_die("no room for an initial RAM disk of %u bytes", h->initrd.len);
		out->initrd_len = h->initrd.len;
		take(&hash, out->initrd_at, h->initrd.at, h->initrd.len);
	}
	check(&hash, want, FW_INITRD);
}

static void cmdline_load(const struct pc_handover *h, const struct fw_hashes *want,
			 struct fw_loaded *out)
{
	br_sha256_context hash;

	br_sha256_init(&hash);
	out->cmdline_at = FW_CMDLINE_AT;
	take(&hash, out->cmdline_at, h->cmdline.at, h->cmdline.len);
	check(&hash, want, FW_CMDLINE);
	if (fw_private(out->cmdline_at)[h->cmdline.len - 1])
		fw_die("the command line has no end");
}

void fw_load(const struct pc_handover *h, const struct fw_hashes *want, struct fw_loaded *out)
{
	kernel_load(h, want, out);
	initrd_load(h, want, out);
	cmdline_load(h, want, out);
}
