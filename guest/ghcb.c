/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/ghcb.h"

#include "abi/doorbell.h"

#define BIT(member) (1ull << GHCB_BIT(member) % 64)
#define VECTOR_UD 6u
#define VECTOR_GP 13u
#define CPUID_XSTATE 0xdu /* its answer depends on XCR0 */
#define XCR0_RESET 1u

/* The first word of the bitmap covers CPL and RAX, the second all others. */
static void valid_words(uint8_t fields, uint64_t v[2])
{
	v[0] = (fields & GHCB_RAX ? BIT(rax) : 0) | (fields & GHCB_CPL ? BIT(cpl) : 0);
	v[1] = (fields & GHCB_RBX ? BIT(rbx) : 0) | (fields & GHCB_RCX ? BIT(rcx) : 0) |
	       (fields & GHCB_RDX ? BIT(rdx) : 0) | (fields & GHCB_XCR0 ? BIT(xcr0) : 0);
}

void ghcb_put(volatile struct ghcb *g, const struct ghcb_call *c, uint16_t version)
{
	uint64_t valid[2];

	valid_words(c->out, valid);
	g->cpl = c->out & GHCB_CPL ? c->cpl : 0;
	g->rax = c->out & GHCB_RAX ? c->rax : 0;
	g->rbx = c->out & GHCB_RBX ? c->rbx : 0;
	g->rcx = c->out & GHCB_RCX ? c->rcx : 0;
	g->rdx = c->out & GHCB_RDX ? c->rdx : 0;
	g->xcr0 = c->out & GHCB_XCR0 ? c->xcr0 : 0;
	g->sw_exit_code = c->code;
	g->sw_exit_info_1 = c->info1;
	g->sw_exit_info_2 = c->info2;
	g->valid[0] = valid[0];
	g->valid[1] = valid[1] | BIT(sw_exit_code) | BIT(sw_exit_info_1) | BIT(sw_exit_info_2);
	g->protocol_version = version;
	g->usage = GHCB_USAGE_STANDARD;
}

static enum ghcb_result event_get(struct ghcb_call *c, uint64_t event)
{
	uint32_t vector = event & GHCB_EVENT_VECTOR;

	if (!(event & GHCB_EVENT_VALID) || (event & 0x700) != GHCB_EVENT_EXCEPTION ||
	    (vector != VECTOR_UD && vector != VECTOR_GP))
		return GHCB_BAD;
	c->ret1 = vector;
	c->ret2 = event & GHCB_EVENT_HAS_ERROR ? event >> 32 : 0;
	return GHCB_RAISE;
}

enum ghcb_result ghcb_get(volatile struct ghcb *g, struct ghcb_call *c)
{
	uint64_t info1 = g->sw_exit_info_1, info2 = g->sw_exit_info_2, need[2];
	uint64_t valid[2] = { g->valid[0], g->valid[1] };

	if ((uint32_t)info1 == GHCB_EXCEPTION)
		return event_get(c, info2);
	valid_words(c->in, need);
	if ((uint32_t)info1 != GHCB_DONE || (need[0] & ~valid[0]) || (need[1] & ~valid[1]))
		return GHCB_BAD;
	c->ret1 = info1;
	c->ret2 = info2;
	if (c->in & GHCB_RAX)
		c->rax = g->rax;
	if (c->in & GHCB_RBX)
		c->rbx = g->rbx;
	if (c->in & GHCB_RCX)
		c->rcx = g->rcx;
	if (c->in & GHCB_RDX)
		c->rdx = g->rdx;
	return GHCB_OK;
}

uint16_t ghcb_version(uint64_t info)
{
	uint16_t max = GHCB_MSR_INFO_MAX(info), min = GHCB_MSR_INFO_MIN(info);

	if ((info & GHCB_MSR_CODE) != GHCB_MSR_SEV_INFO || min > max || min > GHCB_VERSION_MAX ||
	    max < GHCB_VERSION_MIN)
		return 0;
	return max < GHCB_VERSION_MAX ? max : GHCB_VERSION_MAX;
}

/* --- #VC -------------------------------------------------------------------------------------- */

/* IN and OUT with the port in the instruction or in DX: E4 to E7 and EC to EF. Bit 0 of the opcode
 * says more than 8 bits, bit 1 out, bit 3 DX. */
static unsigned io_exit(const uint8_t *p, size_t n, const struct vc_regs *r, struct ghcb_call *c)
{
	bool word = n && p[0] == 0x66;
	unsigned at = word, len;
	uint64_t size, port, mask;

	if (n <= at || (p[at] & 0xf4) != 0xe4)
		return 0;
	len = at + (p[at] & 8 ? 1 : 2);
	if (n < len)
		return 0;
	size = !(p[at] & 1) ? GHCB_IOIO_SIZE_8 : word ? GHCB_IOIO_SIZE_16 : GHCB_IOIO_SIZE_32;
	mask = !(p[at] & 1) ? 0xff : word ? 0xffff : 0xffffffff;
	port = p[at] & 8 ? (uint16_t)r->rdx : p[at + 1];
	c->info1 = port << GHCB_IOIO_PORT_SHIFT | size | GHCB_IOIO_ADDR_64 |
		   (p[at] & 2 ? 0 : GHCB_IOIO_IN);
	c->out = GHCB_RAX; /* of a read nothing but zero */
	c->rax = p[at] & 2 ? r->rax & mask : 0;
	c->in = p[at] & 2 ? 0 : GHCB_RAX;
	return len;
}

static unsigned msr_exit(const uint8_t *p, size_t n, const struct vc_regs *r, struct ghcb_call *c)
{
	if (n < 2 || p[0] != 0x0f || (p[1] != 0x30 && p[1] != 0x32))
		return 0;
	c->info1 = p[1] == 0x30 ? GHCB_MSR_WRITE : GHCB_MSR_READ;
	c->out = GHCB_RCX;
	c->rcx = (uint32_t)r->rcx;
	if (c->info1 == GHCB_MSR_READ) {
		c->in = GHCB_RAX | GHCB_RDX;
		return 2;
	}
	c->out |= GHCB_RAX | GHCB_RDX;
	c->rax = (uint32_t)r->rax;
	c->rdx = (uint32_t)r->rdx;
	return 2;
}

/* A hypercall's arguments are its number's affair. */
static unsigned vmmcall_exit(const uint8_t *p, size_t n, const struct vc_regs *r,
			     struct ghcb_call *c)
{
	if (n < 3 || p[0] != 0x0f || p[1] != 0x01 || p[2] != 0xd9)
		return 0;
	c->out = GHCB_RAX | GHCB_CPL;
	c->in = GHCB_RAX;
	c->rax = r->rax;
	c->cpl = r->cpl;
	if (r->rax != DOORBELL_HC_MAP_GPA_RANGE)
		return 3;
	c->out |= GHCB_RBX | GHCB_RCX | GHCB_RDX;
	c->rbx = r->rbx;
	c->rcx = r->rcx;
	c->rdx = r->rdx;
	return 3;
}

static unsigned cpuid_exit(const uint8_t *p, size_t n, const struct vc_regs *r, struct ghcb_call *c)
{
	if (n < 2 || p[0] != 0x0f || p[1] != 0xa2)
		return 0;
	c->out = GHCB_RAX | GHCB_RCX;
	c->in = GHCB_RAX | GHCB_RBX | GHCB_RCX | GHCB_RDX;
	c->rax = (uint32_t)r->rax;
	c->rcx = (uint32_t)r->rcx;
	if (c->rax == CPUID_XSTATE) {
		c->out |= GHCB_XCR0;
		c->xcr0 = XCR0_RESET;
	}
	return 2;
}

static unsigned rdtsc_exit(const uint8_t *p, size_t n, const struct vc_regs *r, struct ghcb_call *c)
{
	(void)r;
	if (n < 2 || p[0] != 0x0f || p[1] != 0x31)
		return 0;
	c->in = GHCB_RAX | GHCB_RDX;
	return 2;
}

static const struct {
	uint32_t code;
	unsigned (*make)(const uint8_t *p, size_t n, const struct vc_regs *r, struct ghcb_call *c);
} exits[] = {
	{ GHCB_EXIT_IOIO, io_exit },         { GHCB_EXIT_MSR, msr_exit },
	{ GHCB_EXIT_VMMCALL, vmmcall_exit }, { GHCB_EXIT_CPUID, cpuid_exit },
	{ GHCB_EXIT_RDTSC, rdtsc_exit },
};

unsigned vc_exit(const uint8_t *p, size_t n, uint64_t error, const struct vc_regs *r,
		 struct ghcb_call *out)
{
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
		if (exits[i].code != error)
			continue;
		*out = (struct ghcb_call){ .code = error };
		return exits[i].make(p, n, r, out);
	}
	return 0;
}

/* A 32-bit result clears the register's upper half, a shorter one leaves the rest alone. */
void vc_done(const struct ghcb_call *c, struct vc_regs *r)
{
	uint64_t keep = 0, take = 0xffffffff;

	if (c->code == GHCB_EXIT_VMMCALL) {
		take = UINT64_MAX;
	} else if (c->code == GHCB_EXIT_IOIO && !(c->info1 & GHCB_IOIO_SIZE_32)) {
		take = c->info1 & GHCB_IOIO_SIZE_16 ? 0xffff : 0xff;
		keep = ~take;
	}
	if (c->in & GHCB_RAX)
		r->rax = (r->rax & keep) | (c->rax & take);
	if (c->in & GHCB_RBX)
		r->rbx = (uint32_t)c->rbx;
	if (c->in & GHCB_RCX)
		r->rcx = (uint32_t)c->rcx;
	if (c->in & GHCB_RDX)
		r->rdx = (uint32_t)c->rdx;
}
