/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "guest/firmware/efi.h"
#include "pc/acpi.h"

#define SYSTEM_SIGNATURE 0x5453595320494249ull  /* "IBI SYST" */
#define RUNTIME_SIGNATURE 0x56524553544e5552ull /* "RUNTSERV" */
#define REVISION 0x2000au                       /* 2.10 */

#define RT_SUPPORTED                                                                               \
	(1u << EFI_GET_TIME | 1u << RT_GET_VARIABLE | 1u << RT_NEXT_VARIABLE |                     \
	 1u << RT_SET_VARIABLE | 1u << RT_SET_VIRTUAL | 1u << RT_RESET | 1u << RT_QUERY_VARIABLES)
/* Their bits in EFI_RT_PROPERTIES_TABLE, which has an order of its own. */
enum {
	RT_GET_VARIABLE = 4,
	RT_NEXT_VARIABLE,
	RT_SET_VARIABLE,
	RT_SET_VIRTUAL,
	RT_RESET = 10,
	RT_QUERY_VARIABLES = 13,
};

#define MEMORY_WB 8ull
#define MEMORY_RUNTIME (1ull << 63)

static const struct fw_guid acpi_guid = { { 0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11, 0xbc,
					    0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } };
/* LINUX_EFI_COCO_SECRET_AREA_GUID */
static const struct fw_guid secret_guid = { { 0xad, 0x56, 0xf9, 0xad, 0x8c, 0xe9, 0x4c, 0x48, 0xae,
					      0x11, 0xb5, 0x1c, 0x7d, 0x33, 0x64, 0x47 } };
static const struct fw_guid properties_guid = { { 0x8a, 0x91, 0x66, 0xeb, 0xef, 0x7e, 0x2a, 0x40,
						  0x84, 0x2e, 0x93, 0x1d, 0x21, 0xc3, 0x8a,
						  0xe9 } };
/* AMD_SEV_MEM_ENCRYPT_GUID, where Linux looks for SevLiveMigrationEnabled. */
static const struct fw_guid sev_guid = { { 0x71, 0x9b, 0xf2, 0x0c, 0x51, 0x9e, 0x3a, 0x43, 0xa3,
					   0xb7, 0x81, 0xf3, 0xab, 0x16, 0xb8, 0x75 } };

static size_t map_make(const struct fw_area *areas, unsigned n, uint8_t *map)
{
	static const struct {
		uint32_t type;
		uint64_t attributes;
	} kinds[] = {
		[FW_RAM] = { 7, MEMORY_WB },                      /* conventional */
		[FW_RESERVED] = { 0, MEMORY_WB },                 /* reserved */
		[FW_ACPI] = { 9, MEMORY_WB },                     /* ACPI, may be reclaimed */
		[FW_RUNTIME] = { 5, MEMORY_WB | MEMORY_RUNTIME }, /* runtime services' code */
	};

	for (unsigned i = 0; i < n; i++) {
		const struct efi_memory m = {
			.type = kinds[areas[i].kind].type,
			.at = areas[i].at,
			.pages = (areas[i].end - areas[i].at) / 4096,
			.attributes = kinds[areas[i].kind].attributes,
		};

		memset(map, 0, FW_EFI_MEMORY_LEN);
		memcpy(map, &m, sizeof(m));
		map += FW_EFI_MEMORY_LEN;
	}
	return (size_t)n * FW_EFI_MEMORY_LEN;
}

static void tables_make(struct fw_efi *efi)
{
	efi->properties.version = 1;
	efi->properties.len = sizeof(efi->properties);
	efi->properties.supported = RT_SUPPORTED;
	efi->secret.at = FIRMWARE_SECRET_AT;
	efi->secret.len = FIRMWARE_SECRET_LEN;
	efi->table[0] = (struct efi_table){ acpi_guid, PC_ACPI_BASE };
	efi->table[1] = (struct efi_table){ properties_guid, (uintptr_t)&efi->properties };
	efi->table[2] = (struct efi_table){ secret_guid, (uintptr_t)&efi->secret };
}

size_t fw_efi_make(struct fw_efi *efi, uint64_t base, bool can_migrate, const struct fw_area *areas,
		   unsigned n, uint8_t *map)
{
	static const uint8_t yes = 1;

	memset(efi, 0, sizeof(*efi));
	for (unsigned i = 0; i < 6; i++)
		efi->vendor[i] = (uint8_t) "sevmig"[i];
	efi->base = base;
	efi->end = FIRMWARE_TOP;
	efi->runtime.h.signature = RUNTIME_SIGNATURE;
	efi->runtime.h.revision = REVISION;
	efi->runtime.h.len = sizeof(efi->runtime);
	fw_efi_calls(efi->runtime.call);
	efi->runtime.h.crc32 = fw_efi_crc(&efi->runtime.h);
	tables_make(efi);
	efi->system.h.signature = SYSTEM_SIGNATURE;
	efi->system.h.revision = REVISION;
	efi->system.h.len = sizeof(efi->system);
	efi->system.vendor = (uintptr_t)efi->vendor;
	efi->system.vendor_revision = 1;
	efi->system.runtime = (uintptr_t)&efi->runtime;
	efi->system.ntable = FW_EFI_TABLES;
	efi->system.table = (uintptr_t)efi->table;
	efi->system.h.crc32 = fw_efi_crc(&efi->system.h);
	/* Linux writes the migration MSR when it finds this; a host without is not to be believed
	 * by mistake. The store is empty until here and has room for it. */
	if (can_migrate)
		(void)fw_vars_add(&efi->vars, "SevLiveMigrationEnabled", &sev_guid, &yes,
				  sizeof(yes));
	return map_make(areas, n, map);
}
