/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any sequence of commands with any parameters on the software platform, on one VM without KVM.
 * Input, a command after another:
 *
 *	1	id; bit 7: of the platform
 *	1	how many 64-bit words of parameters follow, at most 9
 *	5 each	what the word is, then two 16-bit numbers a and b: 0 zero, 1 buffer + a,
 *		2 RAM below 1 MiB + a, 3 RAM above + a, 4 an address nobody has, 5 a | b << 32
 *
 * The buffer holds the platform's certificates at 0 (PDH), 0x1000 (chain), 0x3000 (AMD).
 */

#include "base/rdwr.h"
#include "tests/fuzz/platform.h"

#define BUFFER_LEN 0x20000u /* any a plus any 16-bit length */
#define RAM_LEN 0x20000u
#define HIGH_AT 0x100000u
#define WORDS 9
#define COMMANDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *buffer, *low, *high;

static void *memory(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

static void prepare(void)
{
	platform_new();
	buffer = memory(BUFFER_LEN);
	low = memory(RAM_LEN);
	high = memory(RAM_LEN);
}

static struct sev_vm *guest_new(void)
{
	struct sev_ram ram[] = {
		{ .at = gpa(0), .size = RAM_LEN, .shared = low },
		{ .at = gpa(HIGH_AT), .size = RAM_LEN, .shared = high, .first_slot = 4 },
	};
	struct sev_slot slots[SEV_SLOTS_PER_RAM];
	struct sev_vm *vm = NULL;
	struct err e = { 0 };
	size_t n;

	must(sev_vm_new(platform, -1, -1, &vm, &e) == 0);
	must(sev_vm_ram_add(vm, &ram[0], slots, &n, &e) == 0);
	must(sev_vm_ram_add(vm, &ram[1], slots, &n, &e) == 0);
	must(sev_init(vm, 0, &e) == 0);
	memset(buffer, 0, BUFFER_LEN);
	memcpy(buffer, certs.pdh, sizeof(certs.pdh));
	memcpy(buffer + 0x1000, certs.plat, sizeof(certs.plat));
	memcpy(buffer + 0x3000, certs.amd, certs.amd_len);
	return vm;
}

static uint64_t word_get(struct rd *in)
{
	uint16_t a = 0, b = 0;
	uint8_t kind = 0;

	if (rd_u8(in, &kind) < 0 || rd_le16(in, &a) < 0 || rd_le16(in, &b) < 0)
		return 0;
	switch (kind % 6) {
	case 1:
		return (uintptr_t)buffer + a;
	case 2:
		return (uintptr_t)low + a;
	case 3:
		return (uintptr_t)high + a;
	case 4:
		return 1ull << 63 | a;
	case 5:
		return a | (uint64_t)b << 32;
	default:
		return 0;
	}
}

static bool inside(uint64_t v, const uint8_t *p)
{
	return v - (uintptr_t)p < 0x10000;
}

/* An address is in what is ours or nowhere: a command told to write over this program does it. */
static uint64_t address(uint64_t v)
{
	return v < 0x1000 || inside(v, buffer) || inside(v, low) || inside(v, high)
		       ? v
		       : v | 1ull << 63;
}

/* Which words are addresses, each followed by its length; a bit each. */
static const uint16_t addresses[KVM_SEV_NR_MAX] = {
	[KVM_SEV_LAUNCH_START] = 0x0a,
	[KVM_SEV_LAUNCH_UPDATE_DATA] = 0x01,
	[KVM_SEV_LAUNCH_SECRET] = 0x15,
	[KVM_SEV_LAUNCH_MEASURE] = 0x01,
	[KVM_SEV_SEND_START] = 0xaa,
	[KVM_SEV_SEND_UPDATE_DATA] = 0x15,
	[KVM_SEV_RECEIVE_START] = 0x0a,
	[KVM_SEV_RECEIVE_UPDATE_DATA] = 0x15,
	[KVM_SEV_GET_ATTESTATION_REPORT] = 0x04,
	[KVM_SEV_DBG_DECRYPT] = 0x02,
	[KVM_SEV_DBG_ENCRYPT] = 0x02,
};

static void vm_run(struct sev_vm *vm, uint8_t id, uint64_t *w)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = (uintptr_t)w };

	for (int i = 0; id < KVM_SEV_NR_MAX && i < WORDS; i++) {
		if (addresses[id] & 1u << i) {
			w[i] = address(w[i]);
			w[i + 1] &= 0xffff;
		}
	}
	if (id == KVM_SEV_DBG_DECRYPT || id == KVM_SEV_DBG_ENCRYPT)
		w[0] = address(w[0]);
	(void)sev_vm_op(vm, &cmd);
}

/* The platform's structs are packed: address, length, address, length. Commands that write the
 * state file are left out: they would make this a test of the disk. */
static void platform_run(uint8_t id, const uint64_t *w)
{
	struct sev_user_data_pdh_cert_export two = { address(w[0]), (uint16_t)w[1], address(w[2]),
						     (uint16_t)w[3] };
	uint8_t params[128] = { 0 };
	struct sev_issue_cmd cmd = { .cmd = id, .data = (uintptr_t)params };

	if (id == SEV_FACTORY_RESET || id == SEV_PEK_GEN || id == SEV_PDH_GEN)
		return;
	memcpy(params, &two, sizeof(two));
	(void)sev_platform_issue(platform, &cmd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);
	uint8_t id, n;
	struct sev_vm *vm;

	if (!platform)
		prepare();
	vm = guest_new();
	for (int i = 0; i < COMMANDS_MAX && rd_u8(&in, &id) == 0 && rd_u8(&in, &n) == 0; i++) {
		uint64_t w[WORDS + 1] = { 0 };

		for (int j = 0; j < n % (WORDS + 1); j++)
			w[j] = word_get(&in);
		if (id & 0x80)
			platform_run(id & 0x7f, w);
		else
			vm_run(vm, id, w);
	}
	sev_vm_free(vm);
	return 0;
}
