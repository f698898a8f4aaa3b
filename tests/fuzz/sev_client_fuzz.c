/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The whole ioctl surface that a shim passes on: /dev/sev, four VMs of any type, mirrors, moves,
 * regions, vCPUs, with any parameters anywhere. Input, a step after another:
 *
 *	1	what (low 4 bits, see step_run()), VM (bits 4 and 5), writable (bit 6)
 *	1	id, type, number of vCPUs, other VM
 *	1	where the struct lies: 0 to 0xef: buffer + that; then nowhere, NULL, read-only, at
 *the end 1	how many 64-bit words of parameters follow, at most 9
 *	5 each	what the word is, then two 16-bit numbers a and b: 0 b << 32, 1 buffer + a,
 *		2 RAM + a, 3 a read-only page + a, 4 an address nobody has, 5 a | b << 16,
 *		6 the end of RAM - a, 7 a in both halves
 *
 * The buffer holds the platform's certificates at 0x1000 (PDH), 0x2000 (chain), 0x4000 (AMD).
 *Behind each of the three pieces of memory is nothing, so lengths may be anything.
 */

#include "base/rdwr.h"
#include "sev/soft_shim.h"
#include "tests/fuzz/platform.h"

#define BUFFER_LEN 0x10000u
#define RAM_LEN 0x20000u
#define GUARD_LEN 0x10000u
#define WORDS 9
#define STEPS_MAX 48
#define VMS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *buffer, *ram, *fixed;

static struct vm {
	struct sev_vm *vm;
	unsigned vcpus;
	bool coming;
} vms[VMS];

static uint8_t *memory(size_t len, int prot)
{
	uint8_t *p = mmap(NULL, len + 2 * GUARD_LEN, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(p != MAP_FAILED && mprotect(p + GUARD_LEN, len, prot) == 0);
	return p + GUARD_LEN;
}

static void prepare(void)
{
	platform_new();
	buffer = memory(BUFFER_LEN, PROT_READ | PROT_WRITE);
	ram = memory(RAM_LEN, PROT_READ | PROT_WRITE);
	fixed = memory(0x1000, PROT_READ);
}

/* --- what the shim knows ---------------------------------------------------------------------- */

static bool is_sev(void *ctx, uint32_t fd)
{
	(void)ctx;
	return fd < 3;
}

static unsigned vcpus(void *ctx)
{
	return ((struct vm *)ctx)->vcpus;
}

static bool coming(void *ctx)
{
	return ((struct vm *)ctx)->coming;
}

static int regs(void *ctx, unsigned n, struct sev_vmsa_regs *out)
{
	(void)ctx;
	memset(&out->regs, (int)n, sizeof(out->regs));
	return n == 7 ? -22 : 0;
}

static void vm_open(struct vm *it, uint8_t type)
{
	const struct sev_soft_client c = { it,     type % 5u, is_sev,    vcpus,
					   coming, regs,      type & 16, type & 32 };
	struct err e = { 0 };

	sev_vm_free(it->vm);
	*it = (struct vm){ 0 };
	must(sev_soft_client_vm(platform, &c, &it->vm, &e) == 0);
}

/* --- parameters ----------------------------------------------------------------------------------
 */

static uint64_t word_get(struct rd *in)
{
	uint16_t a = 0, b = 0;
	uint8_t kind = 0;

	if (rd_u8(in, &kind) < 0 || rd_le16(in, &a) < 0 || rd_le16(in, &b) < 0)
		return 0;
	switch (kind % 8) {
	case 1:
		return (uintptr_t)buffer + a;
	case 2:
		return (uintptr_t)ram + a;
	case 3:
		return (uintptr_t)fixed + a;
	case 4:
		return 1ull << 63 | a;
	case 5:
		return a | (uint64_t)b << 16;
	case 6:
		return (uintptr_t)ram + RAM_LEN - a;
	case 7:
		return a | (uint64_t)a << 32;
	default:
		return (uint64_t)b << 32;
	}
}

static bool inside(uint64_t v, const uint8_t *p, size_t len)
{
	return v - (uintptr_t)p < len;
}

/* An address is in what is ours or nowhere: a command told to write over this program does it. */
static uint64_t address(uint64_t v)
{
	return v < 0x1000 || inside(v, buffer, BUFFER_LEN) || inside(v, ram, RAM_LEN) ||
			       inside(v, fixed, 0x1000)
		       ? v
		       : v | 1ull << 63;
}

/* Which words are addresses; a bit each. */
static const uint16_t addresses[KVM_SEV_NR_MAX] = {
	[KVM_SEV_LAUNCH_START] = 0x0a,
	[KVM_SEV_LAUNCH_UPDATE_DATA] = 0x01,
	[KVM_SEV_LAUNCH_SECRET] = 0x15,
	[KVM_SEV_LAUNCH_MEASURE] = 0x01,
	[KVM_SEV_SEND_START] = 0xaa,
	[KVM_SEV_SEND_UPDATE_DATA] = 0x15,
	[KVM_SEV_SEND_UPDATE_VMSA] = 0x0a,
	[KVM_SEV_RECEIVE_START] = 0x0a,
	[KVM_SEV_RECEIVE_UPDATE_DATA] = 0x15,
	[KVM_SEV_RECEIVE_UPDATE_VMSA] = 0x0a,
	[KVM_SEV_GET_ATTESTATION_REPORT] = 0x04,
	[KVM_SEV_DBG_DECRYPT] = 0x03,
	[KVM_SEV_DBG_ENCRYPT] = 0x03,
};

/* Put a struct where the step says, as far as there is memory; its address. */
static uint64_t place(uint8_t where, const void *p, size_t len)
{
	switch (where) {
	case 0xff:
		return 0;
	case 0xfe:
		return 1ull << 63;
	case 0xfd:
		return (uintptr_t)fixed;
	case 0xfc: /* its last byte is missing */
		memcpy(buffer + BUFFER_LEN - len + 1, p, len - 1);
		return (uintptr_t)buffer + BUFFER_LEN - len + 1;
	default:
		memcpy(buffer + where, p, len);
		return (uintptr_t)buffer + where;
	}
}

/* Put as much of a struct at an address as there is memory of ours: what lay there before may name
 * any address of this program. */
static void fill(uint64_t at, const void *p, size_t len)
{
	uint8_t *piece = inside(at, ram, RAM_LEN) ? ram : buffer;
	size_t size = piece == ram ? RAM_LEN : BUFFER_LEN;
	size_t off = at - (uintptr_t)piece;

	if (off < size)
		memcpy(piece + off, p, len < size - off ? len : size - off);
}

struct step {
	uint8_t what, id, where;
	uint64_t w[WORDS + 1];
};

static void vm_run(const struct vm *it, struct step *s)
{
	struct kvm_sev_cmd cmd = { .id = s->id, .sev_fd = s->what >> 6 };

	for (int i = 0; s->id < KVM_SEV_NR_MAX && i < WORDS; i++) {
		if (addresses[s->id] & 1u << i)
			s->w[i] = address(s->w[i]);
	}
	cmd.data = place(s->where, s->w, sizeof(s->w));
	/* The command's own struct is away from its parameters', or where those are not. */
	(void)sev_soft_vm_ioctl(it->vm, KVM_MEMORY_ENCRYPT_OP,
				place(s->where < 0xe0 ? 0xe8 : s->where, &cmd, sizeof(cmd)));
	(void)sev_vm_op(it->vm, &cmd);
}

/* The platform's structs are packed: address, length, address, length. */
static void platform_run(struct step *s)
{
	struct sev_user_data_pdh_cert_export two = { address(s->w[0]), (uint32_t)s->w[1],
						     address(s->w[2]), (uint32_t)s->w[3] };
	struct sev_issue_cmd cmd = { .cmd = s->id };

	cmd.data = place(s->where, &two, sizeof(two));
	(void)sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD,
				 place(s->where < 0xe0 ? 0xe8 : s->where, &cmd, sizeof(cmd)),
				 s->what & 0x40);
	cmd.data = address(s->w[4]);
	fill(cmd.data, &two, sizeof(two));
	(void)sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD, place(0xe8, &cmd, sizeof(cmd)),
				 s->what & 0x40);
}

static void region_run(const struct vm *it, struct step *s)
{
	const struct kvm_enc_region r = { address(s->w[0]), s->w[1] };

	(void)sev_soft_vm_ioctl(
		it->vm, s->id & 1 ? KVM_MEMORY_ENCRYPT_REG_REGION : KVM_MEMORY_ENCRYPT_UNREG_REGION,
		place(s->where, &r, sizeof(r)));
}

static void step_run(struct step *s)
{
	struct vm *it = &vms[s->what >> 4 & 3];
	struct sev_vm *other = s->id & 4 ? NULL : vms[s->id & 3].vm;

	switch (s->what & 15) {
	case 0:
		platform_run(s);
		break;
	case 1:
		region_run(it, s);
		break;
	case 2:
		(void)sev_soft_vm_copy_from(it->vm, other);
		break;
	case 3:
		(void)sev_soft_vm_move_from(it->vm, other);
		break;
	case 4:
		it->vcpus = s->id % 9;
		it->coming = s->id & 0x80;
		break;
	case 5:
		vm_open(it, s->id);
		break;
	case 6: /* any request; an argument only where there is nothing to read commands from */
		(void)sev_soft_vm_ioctl(it->vm, s->w[0], s->w[1] | 1ull << 63);
		(void)sev_soft_dev_ioctl(platform, s->w[0], s->w[1] | 1ull << 63, s->what & 0x40);
		break;
	default:
		vm_run(it, s);
	}
	must(!sev_soft_vm_state(it->vm).regs_hidden || sev_soft_vm_state(it->vm).protected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);
	struct step s = { 0 };
	uint8_t n;

	if (!platform)
		prepare();
	memset(buffer, 0, BUFFER_LEN);
	memcpy(buffer + 0x1000, certs.pdh, sizeof(certs.pdh));
	memcpy(buffer + 0x2000, certs.plat, sizeof(certs.plat));
	memcpy(buffer + 0x4000, certs.amd, certs.amd_len);
	for (int i = 0; i < VMS; i++)
		vm_open(&vms[i], 0);
	for (int i = 0; i < STEPS_MAX && rd_u8(&in, &s.what) == 0 && rd_u8(&in, &s.id) == 0 &&
			rd_u8(&in, &s.where) == 0 && rd_u8(&in, &n) == 0;
	     i++) {
		memset(s.w, 0, sizeof(s.w));
		for (int j = 0; j < n % (WORDS + 1); j++)
			s.w[j] = word_get(&in);
		step_run(&s);
	}
	for (int i = 0; i < VMS; i++) {
		sev_vm_free(vms[i].vm);
		vms[i] = (struct vm){ 0 };
	}
	return 0;
}
