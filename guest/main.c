/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/testguest.h"
#include "guest/guest.h"
#include "guest/smp.h"
#include "guest/vc.h"

/* struct boot_params, Linux Documentation/arch/x86/zero-page.rst */
#define BP_E820_COUNT 0x1e8
#define BP_CMDLINE 0x228
#define BP_E820 0x2d0
#define BP_E820_LEN 20
#define BP_E820_MAX 128
#define E820_RAM 1

#define CPUID_SEV 0x8000001fu
#define CPUID_SEV_EAX_SEV (1u << 1)
#define CPUID_KVM 0x40000000u
#define CPUID_KVM_FEATURES 0x40000001u
#define CPUID_TSC_KHZ 0x40000010u
#define RAM_MAX 0x100000000ull

struct guest_info guest_info;

static void cpuid(uint32_t leaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "0"(leaf), "2"(0));
}

/* CPUID is asked here because some hosts do not virtualize it at CPL3. */
static void cpu_read(struct guest_info *g)
{
	uint32_t r[4];

	cpuid(1, r);
	g->cpus = r[1] >> 16 & 0xff; /* all in one package, ids from 0 on */
	if (!g->cpus || g->cpus > GUEST_CPUS_MAX)
		g->cpus = 1;
	cpuid(0x80000000u, r);
	if (r[0] >= CPUID_SEV) {
		cpuid(CPUID_SEV, r);
		if (r[0] & CPUID_SEV_EAX_SEV)
			g->cbit = 1ull << (r[1] & 63);
	}
	cpuid(CPUID_KVM, r);
	if (r[1] != 0x4b4d564b) /* "KVMK", of KVMKVMKVM */
		return;
	if (r[0] >= CPUID_TSC_KHZ) {
		cpuid(CPUID_TSC_KHZ, r);
		g->tsc_khz = r[0];
	}
	cpuid(CPUID_KVM_FEATURES, r);
	g->kvm_features = g->cbit ? r[0] : 0;
}

static uint64_t load(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;

	for (unsigned i = len; i--;)
		v = v << 8 | p[i];
	return v;
}

struct e820 {
	uint64_t start, end;
};

static bool e820_get(const uint8_t *bp, unsigned i, struct e820 *out)
{
	const uint8_t *p = bp + BP_E820 + i * BP_E820_LEN;

	out->start = load(p, 8);
	out->end = out->start + load(p + 8, 8);
	return load(p + 16, 4) == E820_RAM;
}

static unsigned e820_count(const uint8_t *bp)
{
	return bp[BP_E820_COUNT] < BP_E820_MAX ? bp[BP_E820_COUNT] : BP_E820_MAX;
}

/* From the piece that holds the image on, with at most one hole. */
static void ram_find(const uint8_t *bp, struct guest_info *g)
{
	struct e820 r;

	for (unsigned i = 0; i < e820_count(bp); i++) {
		if (!e820_get(bp, i, &r) || r.start >= RAM_MAX)
			continue;
		if (r.end > RAM_MAX)
			r.end = RAM_MAX;
		if (r.start <= TESTGUEST_IMAGE && r.end > TESTGUEST_IMAGE) {
			g->ram_end = g->hole = g->hole_end = r.end;
		} else if (g->ram_end && g->hole == g->hole_end && r.start >= g->ram_end) {
			g->hole_end = r.start;
			g->ram_end = r.end;
		}
	}
}

/* As Linux does: all RAM is private until something is said of a part of it. */
static int64_t ram_declare(const uint8_t *bp)
{
	struct e820 r;

	for (unsigned i = 0; i < e820_count(bp); i++) {
		uint64_t end;
		int64_t ret;

		if (!e820_get(bp, i, &r))
			continue;
		end = (r.end + TESTGUEST_PAGE - 1) & ~(uint64_t)(TESTGUEST_PAGE - 1);
		ret = mm_declare(r.start, end - r.start, false);
		if (ret)
			return ret;
	}
	return 0;
}

void guest_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void guest_main(const uint8_t *boot_params)
{
	int64_t ret;

	traps_init();
	vc_init();
	guest_info.cmdline = (const char *)load(boot_params + BP_CMDLINE, 4);
	ram_find(boot_params, &guest_info);
	cpu_read(&guest_info);
	mm_init();
	if (vc_on())
		vc_page_use(0);
	if (!guest_info.tsc_khz)
		guest_info.tsc_khz = timer_tsc_khz();
	pic_init();
	timer_init();
	uart_init();
	ret = ram_declare(boot_params);
	if (!ret && vc_on())
		ret = mm_declare(vc_pages(), GUEST_CPUS_MAX * TESTGUEST_PAGE, true);
	if (ret)
		say("testguest: declaring RAM failed: %x", ret);
	smp_init();
	guest_user_enter(workload_main, user_stack_top(0), 0);
}
