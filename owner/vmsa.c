/* SPDX-License-Identifier: Apache-2.0 */
#include "owner/vmsa.h"

#include <errno.h>
#include <string.h>

#include "base/rdwr.h"

/* --- the page ------------------------------------------------------------------------------- */

/* Offsets of what is not zero: AMD64 Architecture Programmer's Manual 2, appendix B, state save
 * area of SEV-ES. */
enum {
	VMSA_ES = 0x000,
	VMSA_CS = 0x010,
	VMSA_SS = 0x020,
	VMSA_DS = 0x030,
	VMSA_FS = 0x040,
	VMSA_GS = 0x050,
	VMSA_GDTR = 0x060,
	VMSA_LDTR = 0x070,
	VMSA_IDTR = 0x080,
	VMSA_TR = 0x090,
	VMSA_EFER = 0x0d0,
	VMSA_CR4 = 0x148,
	VMSA_CR0 = 0x158,
	VMSA_DR7 = 0x160,
	VMSA_DR6 = 0x168,
	VMSA_RFLAGS = 0x170,
	VMSA_RIP = 0x178,
	VMSA_PAT = 0x268,
	VMSA_RDX = 0x310,
	VMSA_XCR0 = 0x3e8,
	VMSA_MXCSR = 0x408,
	VMSA_FCW = 0x410,
};

#define RESET_CS_BASE 0xffff0000u
#define RESET_IP 0xfff0u

static void number_put(uint8_t *page, unsigned at, uint64_t v)
{
	struct wr w = wr_of(page + at, 8);

	wr_le64(&w, v);
}

static void segment_put(uint8_t *page, unsigned at, uint16_t selector, uint16_t attrib,
			uint64_t base)
{
	struct wr w = wr_of(page + at, 16);

	wr_le16(&w, selector);
	wr_le16(&w, attrib);
	wr_le32(&w, 0xffff);
	wr_le64(&w, base);
}

static void segments_put(uint8_t *page, uint64_t cs_base)
{
	static const struct {
		uint16_t at, attrib;
	} data[] = {
		{ VMSA_ES, 0x93 },   { VMSA_SS, 0x93 }, { VMSA_DS, 0x93 },
		{ VMSA_FS, 0x93 },   { VMSA_GS, 0x93 }, { VMSA_GDTR, 0 },
		{ VMSA_LDTR, 0x82 }, { VMSA_IDTR, 0 },  { VMSA_TR, 0x8b },
	};

	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		segment_put(page, data[i].at, 0, data[i].attrib, 0);
	segment_put(page, VMSA_CS, 0xf000, 0x9b, cs_base);
}

void owner_vmsa_make(const struct owner_vmsa *v, uint8_t out[OWNER_VMSA_LEN])
{
	memset(out, 0, OWNER_VMSA_LEN);
	segments_put(out, v->reset ? v->reset & 0xffff0000u : RESET_CS_BASE);
	number_put(out, VMSA_EFER, 0x1000); /* SVME, which KVM sets for every guest */
	number_put(out, VMSA_CR4, 0x40);    /* machine checks, as on the host */
	number_put(out, VMSA_CR0, 0x10);    /* KVM clears the cache bits of 0x60000010 */
	number_put(out, VMSA_DR7, 0x400);
	number_put(out, VMSA_DR6, 0xffff0ff0);
	number_put(out, VMSA_RFLAGS, 2);
	number_put(out, VMSA_RIP, v->reset ? v->reset & 0xffff : RESET_IP);
	number_put(out, VMSA_PAT, 0x0007040600070406);
	number_put(out, VMSA_RDX, v->signature);
	number_put(out, VMSA_XCR0, 1);
	if (v->init2) {
		number_put(out, VMSA_MXCSR, 0x1f80);
		number_put(out, VMSA_FCW, 0x37f);
	}
}

/* --- CPU models ----------------------------------------------------------------------------- */

static const struct {
	const char *model;
	uint32_t signature;
} cpus[] = {
	{ "EPYC", 0x800f12 },
	{ "EPYC-Rome", 0x830f10 },
	{ "EPYC-Milan", 0xa00f11 },
	{ "EPYC-Genoa", 0xa10f10 },
};

/* "", or a version of the model: "-v" and digits. */
static bool is_version(const char *s)
{
	return !*s || (strncmp(s, "-v", 2) == 0 && s[2] && !s[2 + strspn(s + 2, "0123456789")]);
}

int owner_cpu_signature(const char *model, uint32_t *out, struct err *e)
{
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		size_t n = strlen(cpus[i].model);

		if (strncmp(model, cpus[i].model, n) == 0 && is_version(model + n)) {
			*out = cpus[i].signature;
			return 0;
		}
	}
	return err_set(e, -EINVAL,
		       "CPU %s: none of EPYC, EPYC-Rome, EPYC-Milan, EPYC-Genoa, with or without a "
		       "version",
		       model);
}
