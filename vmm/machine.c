/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rdwr.h"

#define MACHINE_VERSION 1u
#define MACHINE_ENTRY_LEN 28u
#define MACHINE_FLAGS_KNOWN KVM_CPUID_FLAG_SIGNIFCANT_INDEX

int vmm_machine_put(const struct vmm_machine *m, struct buf *out, struct err *e)
{
	int r = buf_add_le32(out, MACHINE_VERSION, e);

	r = r ? r : buf_add_le32(out, m->tsc_khz, e);
	r = r ? r : buf_add_le32(out, m->n, e);
	for (uint32_t i = 0; !r && i < m->n; i++) {
		const struct kvm_cpuid_entry2 *c = &m->cpuid[i];
		const uint32_t words[] = { c->function, c->index, c->flags, c->eax,
					   c->ebx,      c->ecx,   c->edx };

		for (size_t w = 0; !r && w < 7; w++)
			r = buf_add_le32(out, words[w], e);
	}
	return r;
}

static int machine_entry_get(struct rd *in, struct vmm_machine *m, struct err *e)
{
	struct kvm_cpuid_entry2 c = { 0 };

	rd_le32(in, &c.function);
	rd_le32(in, &c.index);
	rd_le32(in, &c.flags);
	rd_le32(in, &c.eax);
	rd_le32(in, &c.ebx);
	rd_le32(in, &c.ecx);
	if (rd_le32(in, &c.edx))
		return err_set(e, -EPROTO, "machine: CPUID table cut short");
	if (c.flags & ~MACHINE_FLAGS_KNOWN)
		return err_set(e, -EPROTO, "machine: CPUID leaf %#x has unknown flags %#x",
			       c.function, c.flags);
	for (uint32_t i = 0; i < m->n; i++)
		if (m->cpuid[i].function == c.function && m->cpuid[i].index == c.index)
			return err_set(e, -EPROTO, "machine: CPUID leaf %#x.%u is there twice",
				       c.function, c.index);
	m->cpuid[m->n++] = c;
	return 0;
}

int vmm_machine_get(const uint8_t *p, size_t len, struct vmm_machine *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	uint32_t version, n;
	int r;

	*out = (struct vmm_machine){ 0 };
	if (rd_le32(&in, &version))
		return err_set(e, -EPROTO, "machine: no version");
	if (version != MACHINE_VERSION)
		return err_set(e, -EPROTO, "machine: version %u, this side knows %u", version,
			       MACHINE_VERSION);
	if (rd_le32(&in, &out->tsc_khz) || rd_le32(&in, &n))
		return err_set(e, -EPROTO, "machine: header cut short");
	if (!n || n > MACHINE_CPUID_MAX)
		return err_set(e, -EPROTO, "machine: %u CPUID leaves, 1 to %u allowed", n,
			       MACHINE_CPUID_MAX);
	while (out->n < n) {
		r = machine_entry_get(&in, out, e);
		if (r < 0)
			return r;
	}
	if (!rd_done(&in))
		return err_set(e, -EPROTO, "machine: %zu bytes left over", in.len);
	return 0;
}

struct kvm_cpuid_entry2 *vmm_machine_leaf(struct vmm_machine *m, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->cpuid[i].function == function && m->cpuid[i].index == index)
			return &m->cpuid[i];
	return NULL;
}

enum machine_reg { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

/* Registers of CPUID that hold one bit a feature; mask leaves out what is none (OSXSAVE follows
 * CR4). Everything else a guest is shown describes, it does not promise. */
static const struct {
	uint32_t function, index;
	enum machine_reg reg;
	uint32_t mask;
} machine_features[] = {
	{ 0x1, 0, REG_ECX, ~(1u << 27) }, { 0x1, 0, REG_EDX, ~0u },
	{ 0x6, 0, REG_EAX, ~0u },         { 0x7, 0, REG_EBX, ~0u },
	{ 0x7, 0, REG_ECX, ~(1u << 4) },  { 0x7, 0, REG_EDX, ~0u },
	{ 0x7, 1, REG_EAX, ~0u },         { 0x7, 1, REG_EDX, ~0u },
	{ 0x7, 2, REG_EDX, ~0u },         { 0xd, 0, REG_EAX, ~0u },
	{ 0xd, 0, REG_EDX, ~0u },         { 0xd, 1, REG_EAX, ~0u },
	{ 0xd, 1, REG_ECX, ~0u },         { 0x40000001, 0, REG_EAX, ~0u },
	{ 0x80000001, 0, REG_ECX, ~0u },  { 0x80000001, 0, REG_EDX, ~0u },
	{ 0x80000007, 0, REG_EDX, ~0u },  { 0x80000008, 0, REG_EBX, ~0u },
	{ 0x80000021, 0, REG_EAX, ~0u },  { 0x8000001f, 0, REG_EAX, ~0u },
	{ 0xc0000001, 0, REG_EDX, ~0u },
};

static uint32_t leaf_reg(const struct kvm_cpuid_entry2 *c, enum machine_reg reg)
{
	const uint32_t v[] = { c->eax, c->ebx, c->ecx, c->edx };

	return v[reg];
}

static uint32_t machine_reg_of(const struct vmm_machine *m, uint32_t function, uint32_t index,
			       enum machine_reg reg)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->cpuid[i].function == function && m->cpuid[i].index == index)
			return leaf_reg(&m->cpuid[i], reg);
	return 0;
}

static int features_fit(const struct vmm_machine *from, const struct vmm_machine *here,
			struct err *e)
{
	static const char *const names[] = { "EAX", "EBX", "ECX", "EDX" };

	for (size_t i = 0; i < sizeof(machine_features) / sizeof(machine_features[0]); i++) {
		uint32_t f = machine_features[i].function, x = machine_features[i].index;
		enum machine_reg reg = machine_features[i].reg;
		uint32_t missing = machine_reg_of(from, f, x, reg) &
				   ~machine_reg_of(here, f, x, reg) & machine_features[i].mask;

		if (missing)
			return err_set(e, -ENOTSUP,
				       "CPUID leaf %#x.%u %s bit %d is shown to the guest but not "
				       "supported here",
				       f, x, names[reg], __builtin_ctz(missing));
	}
	return 0;
}

static void vendor_of(const struct vmm_machine *m, char out[13])
{
	uint32_t v[3] = { machine_reg_of(m, 0, 0, REG_EBX), machine_reg_of(m, 0, 0, REG_EDX),
			  machine_reg_of(m, 0, 0, REG_ECX) };

	for (unsigned i = 0; i < 12; i++) {
		out[i] = (char)(v[i / 4] >> (8 * (i % 4)));
		if (out[i] < ' ' || out[i] > '~')
			out[i] = '?';
	}
	out[12] = '\0';
}

/* A guest that calibrated its TSC runs by the source's frequency. KVM's own clock corrects itself;
 * what two measurements of the same crystal differ by is not worth a refusal. */
static int tsc_fits(const struct vmm_machine *from, const struct vmm_machine *here, struct err *e)
{
	uint32_t a = from->tsc_khz, b = here->tsc_khz;
	uint32_t apart = a > b ? a - b : b - a;

	if (a && b && apart > b / 100)
		return err_set(e, -ENOTSUP, "TSC runs at %u kHz there, %u kHz here", a, b);
	return 0;
}

int vmm_machine_fits(const struct vmm_machine *from, const struct vmm_machine *here, struct err *e)
{
	uint32_t a = machine_reg_of(from, 0x8000001f, 0, REG_EBX) & 0x3f;
	uint32_t b = machine_reg_of(here, 0x8000001f, 0, REG_EBX) & 0x3f;
	char va[13], vb[13];
	int r;

	vendor_of(from, va);
	vendor_of(here, vb);
	if (strcmp(va, vb) != 0)
		return err_set(e, -ENOTSUP, "CPU vendor is %s there, %s here", va, vb);
	if (a != b)
		return err_set(e, -ENOTSUP, "C-bit is %u there, %u here", a, b);
	r = features_fit(from, here, e);
	return r ? r : tsc_fits(from, here, e);
}
