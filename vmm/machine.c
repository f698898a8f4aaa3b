/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rdwr.h"

#define MACHINE_VERSION 2u
#define MACHINE_ENTRY_LEN 28u
#define MACHINE_FLAGS_KNOWN KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static int devices_put(const struct vmm_machine *m, struct buf *out, struct err *e)
{
	int r = buf_add_le32(out, m->ndevice, e);

	for (uint32_t i = 0; !r && i < m->ndevice; i++)
		r = buf_add(out, m->device[i], MACHINE_DEVICE_LEN, e);
	return r;
}

int vmm_machine_put(const struct vmm_machine *m, struct buf *out, struct err *e)
{
	int r = buf_add_le32(out, MACHINE_VERSION, e);

	r = r ? r : buf_add_le32(out, m->tsc_khz, e);
	r = r ? r : buf_add_le32(out, m->firmware, e);
	r = r ? r : buf_add(out, m->digest, MACHINE_DIGEST_LEN, e);
	r = r ? r : devices_put(m, out, e);
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

int vmm_machine_device(struct vmm_machine *m, const char *name, struct err *e)
{
	if (m->ndevice == MACHINE_DEVICES_MAX || strlen(name) >= MACHINE_DEVICE_LEN)
		return err_set(e, -E2BIG, "machine: no room for device %s", name);
	strncpy(m->device[m->ndevice++], name, MACHINE_DEVICE_LEN - 1);
	return 0;
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

/* Printable ASCII, zeros behind. */
static int device_get(struct rd *in, char out[MACHINE_DEVICE_LEN], struct err *e)
{
	size_t n;

	if (rd_bytes(in, out, MACHINE_DEVICE_LEN))
		return err_set(e, -EPROTO, "machine: device list cut short");
	n = strnlen(out, MACHINE_DEVICE_LEN);
	if (!n || n == MACHINE_DEVICE_LEN)
		return err_set(e, -EPROTO, "machine: device name of %zu characters", n);
	for (size_t i = 0; i < MACHINE_DEVICE_LEN; i++)
		if (i < n ? out[i] < ' ' || out[i] > '~' : out[i] != 0)
			return err_set(e, -EPROTO, "machine: device name is not printable");
	return 0;
}

static int machine_parts_get(struct rd *in, struct vmm_machine *out, struct err *e)
{
	uint32_t n;
	int r = 0;

	rd_le32(in, &out->tsc_khz);
	rd_le32(in, &out->firmware);
	rd_bytes(in, out->digest, MACHINE_DIGEST_LEN);
	if (rd_le32(in, &n))
		return err_set(e, -EPROTO, "machine: header cut short");
	if (out->firmware >= MACHINE_FIRMWARES)
		return err_set(e, -EPROTO, "machine: firmware of kind %u", out->firmware);
	if (n > MACHINE_DEVICES_MAX)
		return err_set(e, -EPROTO, "machine: %u devices, %u allowed", n,
			       MACHINE_DEVICES_MAX);
	while (!r && out->ndevice < n)
		r = device_get(in, out->device[out->ndevice++], e);
	return r;
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
	r = machine_parts_get(&in, out, e);
	if (r < 0)
		return r;
	if (rd_le32(&in, &n))
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

/* AVX-512 and its kin, protection keys, and what XSAVE would have of them. Bits of CPUID, AMD64 and
 * Intel 64 manuals. */
static const struct {
	uint32_t function, index;
	enum machine_reg reg;
	uint32_t keep;
} machine_narrow[] = {
	{ 0x7, 0, REG_EBX, ~(1u << 16 | 1u << 17 | 1u << 21 | 0xfu << 26 | 3u << 30) | 1u << 29 },
	{ 0x7, 0, REG_ECX, ~(1u << 1 | 3u << 3 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14) },
	{ 0x7, 0, REG_EDX, ~(3u << 2 | 1u << 8 | 0xfu << 22) },
	{ 0x7, 1, REG_EAX, ~(1u << 5) },
	{ 0xd, 0, REG_EAX, 7 },
	{ 0xd, 0, REG_EDX, 0 },
	{ 0xd, 1, REG_ECX, 0 },
	{ 0xd, 1, REG_EDX, 0 },
};

void vmm_machine_narrow(struct vmm_machine *m)
{
	for (size_t i = 0; i < sizeof(machine_narrow) / sizeof(machine_narrow[0]); i++) {
		struct kvm_cpuid_entry2 *c =
			vmm_machine_leaf(m, machine_narrow[i].function, machine_narrow[i].index);
		uint32_t *const regs[] = { c ? &c->eax : NULL, c ? &c->ebx : NULL,
					   c ? &c->ecx : NULL, c ? &c->edx : NULL };

		if (c)
			*regs[machine_narrow[i].reg] &= machine_narrow[i].keep;
	}
}

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

/* " 3 16 30": as many bits as there are. */
static void bits_print(uint32_t bits, char *out, size_t cap)
{
	size_t len = 0;

	for (*out = '\0'; bits && len < cap; bits &= bits - 1)
		len += (size_t)snprintf(out + len, cap - len, " %d", __builtin_ctz(bits));
}

static void features_compare(const struct vmm_machine *from, const struct vmm_machine *here,
			     struct lines *out)
{
	static const char *const names[] = { "EAX", "EBX", "ECX", "EDX" };

	for (size_t i = 0; i < sizeof(machine_features) / sizeof(machine_features[0]); i++) {
		uint32_t f = machine_features[i].function, x = machine_features[i].index;
		enum machine_reg reg = machine_features[i].reg;
		uint32_t missing = machine_reg_of(from, f, x, reg) &
				   ~machine_reg_of(here, f, x, reg) & machine_features[i].mask;
		char bits[32 * 3 + 1];

		if (!missing)
			continue;
		bits_print(missing, bits, sizeof(bits));
		lines_add(out,
			  "CPUID leaf %#x.%u %s: shown to the guest, not supported here: bit%s%s",
			  f, x, names[reg], missing & (missing - 1) ? "s" : "", bits);
	}
}

unsigned vmm_machine_cbit(const struct vmm_machine *m)
{
	return machine_reg_of(m, 0x8000001f, 0, REG_EBX) & 0x3f;
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

static void sev_compare(const struct vmm_machine *from, const struct vmm_machine *here,
			struct lines *out)
{
	uint32_t a = machine_reg_of(from, 0x8000001f, 0, REG_EBX);
	uint32_t b = machine_reg_of(here, 0x8000001f, 0, REG_EBX);

	if ((a & 0x3f) != (b & 0x3f))
		lines_add(out, "C-bit is %u there, %u here", a & 0x3f, b & 0x3f);
	if ((a >> 6 & 0x3f) != (b >> 6 & 0x3f))
		lines_add(out, "physical addresses lose %u bits there, %u here", a >> 6 & 0x3f,
			  b >> 6 & 0x3f);
}

/* A guest that calibrated its TSC runs by the source's frequency. Where the processor scales, it
 * can have it. KVM's own clock corrects itself; what two measurements of the same crystal differ by
 * is not worth a refusal. */
static void tsc_compare(const struct vmm_machine *from, const struct vmm_machine *here,
			struct lines *out)
{
	uint32_t a = from->tsc_khz, b = here->tsc_khz;
	uint32_t apart = a > b ? a - b : b - a;

	if (a && b && apart > b / 100 && !here->tsc_scales)
		lines_add(out, "TSC runs at %u kHz there, %u kHz here", a, b);
}

/* The image itself travels with the guest's memory; but who was given one expects the guest that it
 * boots. */
static void firmware_compare(const struct vmm_machine *from, const struct vmm_machine *here,
			     struct lines *out)
{
	if (here->firmware == MACHINE_FIRMWARE_NONE)
		return;
	if (from->firmware == MACHINE_FIRMWARE_NONE)
		lines_add(out, "the guest was booted without firmware there, an image was given "
			       "here");
	else if (memcmp(from->digest, here->digest, MACHINE_DIGEST_LEN) != 0)
		lines_add(out,
			  "firmware image is %02x%02x%02x%02x... there, "
			  "%02x%02x%02x%02x... here (SHA-256)",
			  from->digest[0], from->digest[1], from->digest[2], from->digest[3],
			  here->digest[0], here->digest[1], here->digest[2], here->digest[3]);
}

static bool device_among(const struct vmm_machine *m, const char *name)
{
	for (uint32_t i = 0; i < m->ndevice; i++)
		if (strcmp(m->device[i], name) == 0)
			return true;
	return false;
}

static void devices_compare(const struct vmm_machine *from, const struct vmm_machine *here,
			    struct lines *out)
{
	for (uint32_t i = 0; i < from->ndevice; i++)
		if (!device_among(here, from->device[i]))
			lines_add(out, "device %s is there, not here", from->device[i]);
	for (uint32_t i = 0; i < here->ndevice; i++)
		if (!device_among(from, here->device[i]))
			lines_add(out, "device %s is here, not there", here->device[i]);
}

void vmm_machine_compare(const struct vmm_machine *from, const struct vmm_machine *here,
			 struct lines *out)
{
	char va[13], vb[13];

	vendor_of(from, va);
	vendor_of(here, vb);
	if (strcmp(va, vb) != 0)
		lines_add(out, "CPU vendor is %s there, %s here", va, vb);
	sev_compare(from, here, out);
	tsc_compare(from, here, out);
	firmware_compare(from, here, out);
	devices_compare(from, here, out);
	features_compare(from, here, out);
}
