/* SPDX-License-Identifier: Apache-2.0 */

/* The firmware's one way through: from the first line of C to the kernel. */

#include <string.h>

#include <asm/bootparam.h>

#include "guest/firmware/efi.h"
#include "guest/firmware/firmware.h"
#include "pc/acpi.h"

#define MSR_MTRR_DEFAULT 0x2ff
#define MTRR_ENABLED_WB 0xc06

void fw_main(void);

static uint32_t features;

/* The one way in which pages change their state. */
static void pages_set(uint64_t at, uint64_t len, bool shared)
{
	int64_t r = fw_pages_report(features, fw_vmmcall, at, len, shared);

	if (r)
		fw_die("the host does not take %x bytes at %x as %s: error %u", len, at,
		       shared ? "shared" : "private", -r);
}

static void handover_get(struct pc_handover *h)
{
	static uint8_t page[FIRMWARE_HANDOVER_LEN];
	const char *why;

	pages_set(FIRMWARE_HANDOVER_AT, FIRMWARE_HANDOVER_LEN, true);
	memcpy(page, fw_shared(FIRMWARE_HANDOVER_AT), sizeof(page));
	pages_set(FIRMWARE_HANDOVER_AT, FIRMWARE_HANDOVER_LEN, false);
	why = pc_handover_get(page, sizeof(page), h);
	if (why)
		fw_die("the host hands over %s", why);
}

static void files_set(const struct pc_handover *h, bool shared)
{
	const struct pc_span *const files[] = { &h->kernel, &h->initrd, &h->cmdline };

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		pages_set(files[i]->at, files[i]->len, shared);
}

/* The table is what the monitor goes by; an image that says no there does as it says. */
static bool can_migrate(void)
{
	return fw_can_migrate(features) && (fw_migration & FIRMWARE_MIGRATES);
}

/* All that Linux reads before it is on its own feet. */
static void describe(const struct pc_handover *h, const struct fw_loaded *loaded)
{
	struct boot_params *params = (struct boot_params *)fw_private(FW_PARAMS_AT);
	const struct pc_machine pc = { .cpus = h->cpus };
	static struct fw_area areas[FW_AREAS_MAX];
	unsigned n = fw_areas(h, (uintptr_t)fw_base, areas);
	size_t len;

	pc_acpi_write(fw_private(PC_ACPI_BASE), &pc);
	fw_params_fill(params, loaded, areas, n);
	len = fw_efi_make(&fw_efi, (uintptr_t)fw_base, can_migrate(), areas, n,
			  fw_private(FW_EFI_MAP_AT));
	fw_params_efi(params, (uintptr_t)&fw_efi.system, FW_EFI_MAP_AT, len, FW_EFI_MEMORY_LEN);
}

void fw_main(void)
{
	static struct fw_loaded loaded;
	static struct pc_handover h;
	struct fw_hashes want;

	fw_traps_init();
	fw_vc_init();
	features = fw_kvm_features(fw_cpuid);
	fw_say("sevmig " SEVMIG_VERSION ", SEV status %x, live migration %s", fw_sev_status,
	       can_migrate() ? "offered" : "not offered");
	if (fw_vc_on())
		pages_set(FIRMWARE_GHCB_AT, FIRMWARE_GHCB_LEN, true);
	handover_get(&h);
	if (!fw_hashes_get(fw_private(FIRMWARE_HASHES_AT), FIRMWARE_HASHES_LEN, &want))
		fw_die("no hashes were measured: nothing can be verified");
	files_set(&h, true);
	fw_load(&h, &want, &loaded);
	files_set(&h, false);
	fw_wrmsr(MSR_MTRR_DEFAULT, MTRR_ENABLED_WB);
	describe(&h, &loaded);
	fw_say("starting the kernel at %x", loaded.kernel.entry);
	if (fw_vc_on()) {
		fw_vc_jump_table(FW_AP_AT);
		pages_set(FIRMWARE_GHCB_AT, FIRMWARE_GHCB_LEN, false);
		fw_vc_fini();
	}
	fw_enter(loaded.kernel.entry, FW_PARAMS_AT);
}
