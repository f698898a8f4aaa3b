/* SPDX-License-Identifier: Apache-2.0 */
#include "sev/soft_ghcb.h"

#include <stddef.h>
#include <string.h>

#include "base/rdwr.h"

static uint64_t word(const uint8_t *page, size_t at)
{
	struct rd in = rd_of(page + at, 8);
	uint64_t v = 0;

	(void)!rd_le64(&in, &v);
	return v;
}

static bool is_valid(const uint8_t *page, size_t at)
{
	size_t bit = at / 8;

	return word(page, offsetof(struct ghcb, valid) + bit / 64 * 8) >> bit % 64 & 1;
}

#define VALID(page, member) is_valid((page), offsetof(struct ghcb, member))
#define WORD(page, member) word((page), offsetof(struct ghcb, member))
#define GIVEN(page, member) (VALID(page, member) ? WORD(page, member) : 0)

/* --- what the events need -----------------------------------------------------------------------
 */

enum { NEED_RAX = 1, NEED_RCX = 2, NEED_RDX = 4, NEED_CPL = 8, NEED_XCR0 = 16, NEED_SCRATCH = 32 };

static bool all_there(const uint8_t *page, unsigned need)
{
	return (!(need & NEED_RAX) || VALID(page, rax)) &&
	       (!(need & NEED_RCX) || VALID(page, rcx)) &&
	       (!(need & NEED_RDX) || VALID(page, rdx)) &&
	       (!(need & NEED_CPL) || VALID(page, cpl)) &&
	       (!(need & NEED_XCR0) || VALID(page, xcr0)) &&
	       (!(need & NEED_SCRATCH) || VALID(page, sw_scratch));
}

static uint16_t version_of(const uint8_t *page)
{
	return (uint16_t)(word(page, GHCB_LEN - 8) >> 16);
}

/* Outside of the page only version 1 may. */
static unsigned buf_get(const uint8_t *page, struct gpa at, uint64_t len, struct soft_ghcb_buf *buf)
{
	const uint64_t start = at.v + offsetof(struct ghcb, shared);
	uint64_t scratch = WORD(page, sw_scratch), off = scratch - start;

	if (!len || len > SOFT_GHCB_DATA_MAX || !scratch || scratch + len < scratch)
		return GHCB_ERROR_SCRATCH;
	*buf = (struct soft_ghcb_buf){ .gpa = gpa(scratch), .len = (uint32_t)len };
	if (scratch + len > at.v && scratch < at.v + GHCB_LEN) {
		if (scratch < start || off > GHCB_SHARED_LEN || len > GHCB_SHARED_LEN - off)
			return GHCB_ERROR_SCRATCH;
		buf->inside = true;
		buf->at = (uint32_t)(scratch - at.v);
		return 0;
	}
	return version_of(page) > GHCB_VERSION_MIN ? GHCB_ERROR_SCRATCH : 0;
}

static unsigned io_get(const uint8_t *page, struct gpa at, struct soft_ghcb_call *c)
{
	uint64_t sizes = c->info1 & (GHCB_IOIO_SIZE_8 | GHCB_IOIO_SIZE_16 | GHCB_IOIO_SIZE_32);

	if (sizes != GHCB_IOIO_SIZE_8 && sizes != GHCB_IOIO_SIZE_16 && sizes != GHCB_IOIO_SIZE_32)
		return GHCB_ERROR_INPUT;
	c->io.size = (uint8_t)(sizes / GHCB_IOIO_SIZE_8);
	c->io.port = (uint16_t)(c->info1 >> GHCB_IOIO_PORT_SHIFT);
	c->io.in = c->info1 & GHCB_IOIO_IN;
	c->io.string = c->info1 & GHCB_IOIO_STRING;
	c->io.count = 1;
	if (!c->io.string)
		return all_there(page, c->io.in ? 0 : NEED_RAX) ? 0 : GHCB_ERROR_MISSING;
	if (!all_there(page, NEED_SCRATCH))
		return GHCB_ERROR_MISSING;
	if (c->info2 > SOFT_GHCB_DATA_MAX)
		return GHCB_ERROR_SCRATCH;
	c->io.count = (uint32_t)c->info2;
	if (!c->io.count) {
		c->what = SOFT_GHCB_NOTHING;
		return 0;
	}
	return buf_get(page, at, c->info2 * c->io.size, &c->buf);
}

static unsigned msr_get(const uint8_t *page, struct gpa at, struct soft_ghcb_call *c)
{
	bool write = c->info1 == GHCB_MSR_WRITE;

	(void)at;
	if (c->info1 > GHCB_MSR_WRITE)
		return GHCB_ERROR_INPUT;
	c->what = write ? SOFT_GHCB_WRMSR : SOFT_GHCB_RDMSR;
	return all_there(page, NEED_RCX | (write ? NEED_RAX | NEED_RDX : 0)) ? 0
									     : GHCB_ERROR_MISSING;
}

static unsigned mmio_get(const uint8_t *page, struct gpa at, struct soft_ghcb_call *c)
{
	if (!c->info2 || c->info2 > 8)
		return GHCB_ERROR_INPUT;
	return buf_get(page, at, c->info2, &c->buf);
}

static unsigned cpuid_get(const uint8_t *page, struct gpa at, struct soft_ghcb_call *c)
{
	const uint32_t xsave_leaf = 0xd; /* its answer depends on XCR0 */

	(void)at;
	return (uint32_t)c->rax == xsave_leaf && !all_there(page, NEED_XCR0) ? GHCB_ERROR_MISSING
									     : 0;
}

static unsigned jump_table_get(const uint8_t *page, struct gpa at, struct soft_ghcb_call *c)
{
	(void)page, (void)at;
	return c->info1 > GHCB_JUMP_TABLE_GET ? GHCB_ERROR_INPUT : 0;
}

struct event {
	uint32_t code;
	enum soft_ghcb_what what;
	unsigned need;
	unsigned (*get)(const uint8_t *page, struct gpa at, struct soft_ghcb_call *c);
};

static const struct event events[] = {
	{ GHCB_EXIT_RDTSC, SOFT_GHCB_TSC, 0, NULL },
	{ GHCB_EXIT_RDTSCP, SOFT_GHCB_TSC, 0, NULL },
	{ GHCB_EXIT_CPUID, SOFT_GHCB_CPUID, NEED_RAX | NEED_RCX, cpuid_get },
	{ GHCB_EXIT_INVD, SOFT_GHCB_NOTHING, 0, NULL },
	{ GHCB_EXIT_WBINVD, SOFT_GHCB_NOTHING, 0, NULL },
	{ GHCB_EXIT_MONITOR, SOFT_GHCB_NOTHING, NEED_RAX | NEED_RCX | NEED_RDX, NULL },
	{ GHCB_EXIT_MWAIT, SOFT_GHCB_NOTHING, NEED_RAX | NEED_RCX, NULL },
	{ GHCB_EXIT_IOIO, SOFT_GHCB_IO, 0, io_get },
	{ GHCB_EXIT_MSR, SOFT_GHCB_RDMSR, 0, msr_get },
	{ GHCB_EXIT_VMMCALL, SOFT_GHCB_HYPERCALL, NEED_RAX | NEED_CPL, NULL },
	{ GHCB_EXIT_MMIO_READ, SOFT_GHCB_MMIO_READ, NEED_SCRATCH, mmio_get },
	{ GHCB_EXIT_MMIO_WRITE, SOFT_GHCB_MMIO_WRITE, NEED_SCRATCH, mmio_get },
	{ GHCB_EXIT_NMI_COMPLETE, SOFT_GHCB_NOTHING, 0, NULL },
	{ GHCB_EXIT_AP_RESET_HOLD, SOFT_GHCB_HOLD, 0, NULL },
	{ GHCB_EXIT_AP_JUMP_TABLE, SOFT_GHCB_JUMP_TABLE, 0, jump_table_get },
	{ GHCB_EXIT_HV_FEATURES, SOFT_GHCB_NOTHING, 0, NULL },
	{ GHCB_EXIT_TERMINATE, SOFT_GHCB_TERMINATE, 0, NULL },
	{ GHCB_EXIT_UNSUPPORTED, SOFT_GHCB_UNSUPPORTED, 0, NULL },
};

static unsigned head_get(const uint8_t *page, struct soft_ghcb_call *c)
{
	if (word(page, GHCB_LEN - 8) >> 32 != GHCB_USAGE_STANDARD)
		return GHCB_ERROR_USAGE;
	if (!VALID(page, sw_exit_code) || !VALID(page, sw_exit_info_1) ||
	    !VALID(page, sw_exit_info_2))
		return GHCB_ERROR_MISSING;
	if (version_of(page) < GHCB_VERSION_MIN || version_of(page) > GHCB_VERSION_MAX)
		return GHCB_ERROR_INPUT;
	c->info1 = WORD(page, sw_exit_info_1);
	c->info2 = WORD(page, sw_exit_info_2);
	c->rax = GIVEN(page, rax);
	c->rbx = GIVEN(page, rbx);
	c->rcx = GIVEN(page, rcx);
	c->rdx = GIVEN(page, rdx);
	c->cpl = page[offsetof(struct ghcb, cpl)];
	return 0;
}

unsigned soft_ghcb_decode(const uint8_t page[GHCB_LEN], struct gpa at, struct soft_ghcb_call *out)
{
	uint64_t code = WORD(page, sw_exit_code);
	unsigned r;

	*out = (struct soft_ghcb_call){ 0 };
	r = head_get(page, out);
	if (r)
		return r;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		const struct event *ev = &events[i];

		if (ev->code != code)
			continue;
		out->code = ev->code;
		out->what = ev->what;
		if (!all_there(page, ev->need))
			return GHCB_ERROR_MISSING;
		return ev->get ? ev->get(page, at, out) : 0;
	}
	return GHCB_ERROR_EVENT;
}

/* --- the answer ---------------------------------------------------------------------------------
 */

static void answer_word(uint8_t *page, uint64_t valid[2], size_t at, uint64_t v)
{
	struct wr w = wr_of(page + at, 8);

	(void)!wr_le64(&w, v);
	valid[at / 8 / 64] |= 1ull << at / 8 % 64;
}
#define ANSWER(page, valid, member, v)                                                             \
	answer_word((page), (valid), offsetof(struct ghcb, member), (v))

void soft_ghcb_answer(uint8_t page[GHCB_LEN], const struct soft_ghcb_answer *a)
{
	struct wr w = wr_of(page + offsetof(struct ghcb, valid), 16);
	uint64_t valid[2] = { 0, 0 };

	ANSWER(page, valid, sw_exit_info_1, a->info1);
	ANSWER(page, valid, sw_exit_info_2, a->info2);
	if (a->regs & SOFT_GHCB_RAX)
		ANSWER(page, valid, rax, a->rax);
	if (a->regs & SOFT_GHCB_RBX)
		ANSWER(page, valid, rbx, a->rbx);
	if (a->regs & SOFT_GHCB_RCX)
		ANSWER(page, valid, rcx, a->rcx);
	if (a->regs & SOFT_GHCB_RDX)
		ANSWER(page, valid, rdx, a->rdx);
	wr_le64(&w, valid[0]);
	(void)!wr_le64(&w, valid[1]);
}

/* --- the MSR ------------------------------------------------------------------------------------
 */

uint64_t soft_ghcb_msr_reset(unsigned cbit)
{
	return GHCB_MSR_SEV_INFO_OF(GHCB_VERSION_MAX, GHCB_VERSION_MIN, cbit);
}

/* As KVM does, what is unknown stays as it is. */
void soft_ghcb_msr(uint64_t value, unsigned cbit, struct soft_ghcb_msr *out)
{
	*out = (struct soft_ghcb_msr){ .what = SOFT_MSR_ANSWERED, .answer = value };
	switch (value & GHCB_MSR_CODE) {
	case 0:
		out->what = SOFT_MSR_PAGE;
		break;
	case GHCB_MSR_SEV_INFO_REQ:
		out->answer = soft_ghcb_msr_reset(cbit);
		break;
	case GHCB_MSR_CPUID_REQ:
		out->what = SOFT_MSR_CPUID;
		out->leaf = (uint32_t)(value >> 32);
		out->reg = value >> 30 & 3;
		out->answer = (value & 3ull << 30) | GHCB_MSR_CPUID_RESP;
		break;
	case GHCB_MSR_RESET_HOLD_REQ:
		out->what = SOFT_MSR_HOLD;
		out->answer = 1ull << 12 | GHCB_MSR_RESET_HOLD_RESP;
		break;
	case GHCB_MSR_HV_FEATURES_REQ:
		out->answer = GHCB_MSR_HV_FEATURES_RESP;
		break;
	case GHCB_MSR_TERMINATE:
		out->what = SOFT_MSR_TERMINATE;
		break;
	default:
		break;
	}
}
