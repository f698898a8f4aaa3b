/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <asm/bootparam.h>

#include "guest/firmware/firmware.h"
#include "pc/acpi.h"

#define ISA_HOLE 0xa0000u
#define MIB 0x100000u
#define LOADER_OTHER 0xff

_Static_assert(FIRMWARE_SECRET_AT >= FW_LOW_END && FIRMWARE_HASHES_AT >= FW_LOW_END &&
		       FW_AP_AT >= FW_LOW_END,
	       "what the firmware keeps is not given out as RAM");

unsigned fw_areas(const struct pc_handover *h, uint64_t image, struct fw_area out[FW_AREAS_MAX])
{
	unsigned n = 0;

	out[n++] = (struct fw_area){ 0, FW_LOW_END, FW_RAM };
	out[n++] = (struct fw_area){ FW_LOW_END, ISA_HOLE, FW_RESERVED };
	out[n++] = (struct fw_area){ PC_ACPI_BASE, PC_ACPI_BASE + PC_ACPI_LEN, FW_ACPI };
	for (uint32_t i = 0; i < h->nram; i++) {
		uint64_t at = h->ram[i].at, end = at + h->ram[i].len;

		if (at >= image && (n == 0 || out[n - 1].kind != FW_RUNTIME))
			out[n++] = (struct fw_area){ image, FIRMWARE_TOP, FW_RUNTIME };
		out[n++] = (struct fw_area){ i == 0 ? MIB : at, end, FW_RAM };
	}
	if (out[n - 1].end <= image)
		out[n++] = (struct fw_area){ image, FIRMWARE_TOP, FW_RUNTIME };
	return n;
}

static void e820_fill(struct boot_params *p, const struct fw_area *areas, unsigned n)
{
	static const uint32_t types[] = {
		[FW_RAM] = 1, [FW_RESERVED] = 2, [FW_ACPI] = 3, [FW_RUNTIME] = 2
	};

	p->e820_entries = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		p->e820_table[i].addr = areas[i].at;
		p->e820_table[i].size = areas[i].end - areas[i].at;
		p->e820_table[i].type = types[areas[i].kind];
	}
}

void fw_params_fill(struct boot_params *p, const struct fw_loaded *l, const struct fw_area *areas,
		    unsigned n)
{
	memset(p, 0, sizeof(*p));
	memcpy((uint8_t *)p + PC_SETUP_AT, l->kernel.setup, PC_SETUP_LEN);
	p->hdr.type_of_loader = LOADER_OTHER;
	p->hdr.cmd_line_ptr = (uint32_t)l->cmdline_at;
	p->hdr.ramdisk_image = (uint32_t)l->initrd_at;
	p->hdr.ramdisk_size = (uint32_t)l->initrd_len;
	p->acpi_rsdp_addr = PC_ACPI_BASE;
	e820_fill(p, areas, n);
}

void fw_params_efi(struct boot_params *p, uint64_t system, uint64_t map, size_t map_len,
		   size_t step)
{
	memcpy(&p->efi_info.efi_loader_signature, "EL64", 4);
	p->efi_info.efi_systab = (uint32_t)system;
	p->efi_info.efi_systab_hi = (uint32_t)(system >> 32);
	p->efi_info.efi_memdesc_size = (uint32_t)step;
	p->efi_info.efi_memdesc_version = 1;
	p->efi_info.efi_memmap = (uint32_t)map;
	p->efi_info.efi_memmap_hi = (uint32_t)(map >> 32);
	p->efi_info.efi_memmap_size = (uint32_t)map_len;
}
