/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What Linux gets of UEFI (specification 2.10): a system table, a memory map, and runtime services,
 * through boot_params and without boot services. All of it lies in the image, which is one
 * EFI_MEMORY_RUNTIME area of code: Linux maps it where it likes, tells that once by
 * SetVirtualAddressMap, and calls there. Code is position independent; pointers in data are the
 * ones of struct fw_efi.
 */

#include <stddef.h>
#include <stdint.h>

#include "guest/firmware/firmware.h"

#define EFI_CALL __attribute__((ms_abi))
#define EFI_ERROR(n) (0x8000000000000000ull | (n))
#define EFI_SUCCESS 0ull
#define EFI_INVALID_PARAMETER EFI_ERROR(2)
#define EFI_UNSUPPORTED EFI_ERROR(3)
#define EFI_BUFFER_TOO_SMALL EFI_ERROR(5)
#define EFI_DEVICE_ERROR EFI_ERROR(7)
#define EFI_WRITE_PROTECTED EFI_ERROR(8)
#define EFI_OUT_OF_RESOURCES EFI_ERROR(9)
#define EFI_NOT_FOUND EFI_ERROR(14)

/* --- variables (efi_vars.c) --------------------------------------------------------------------
 */

#define EFI_VARIABLE_NON_VOLATILE 1u
#define EFI_VARIABLE_BOOTSERVICE_ACCESS 2u
#define EFI_VARIABLE_RUNTIME_ACCESS 4u

#define FW_VARS_MAX 4
#define FW_VAR_NAME_MAX 32 /* UTF-16 units with the terminator */
#define FW_VAR_DATA_MAX 64

struct fw_guid {
	uint8_t b[16];
};

struct fw_var {
	struct fw_guid vendor;
	uint32_t attributes;
	uint32_t data_len;
	uint16_t name[FW_VAR_NAME_MAX];
	uint8_t data[FW_VAR_DATA_MAX];
};

/* Volatile, made anew at each start, and so never stale. */
struct fw_vars {
	uint32_t n;
	struct fw_var v[FW_VARS_MAX];
};

/* While the firmware runs. false: no room. */
bool fw_vars_add(struct fw_vars *s, const char *name, const struct fw_guid *vendor,
		 const void *data, uint32_t len);
/* GetVariable, GetNextVariableName, SetVariable: status as the specification has it. */
uint64_t fw_vars_get(const struct fw_vars *s, const uint16_t *name, const struct fw_guid *vendor,
		     uint32_t *attributes, uint64_t *len, void *data);
uint64_t fw_vars_next(const struct fw_vars *s, uint64_t *len, uint16_t *name,
		      struct fw_guid *vendor);
uint64_t fw_vars_set(const struct fw_vars *s, const uint16_t *name, const struct fw_guid *vendor,
		     uint32_t attributes, uint64_t len);

/* --- tables ------------------------------------------------------------------------------------
 */

struct efi_header {
	uint64_t signature;
	uint32_t revision, len, crc32, reserved;
};

#define EFI_SYSTEM_LEN 120u
struct efi_system {
	struct efi_header h;
	uint64_t vendor;
	uint32_t vendor_revision, pad;
	uint64_t console[6]; /* input, output, errors, each handle and interface: none */
	uint64_t runtime, boot;
	uint64_t ntable, table;
};
_Static_assert(sizeof(struct efi_system) == EFI_SYSTEM_LEN, "EFI_SYSTEM_TABLE");

enum {
	EFI_GET_TIME,
	EFI_SET_TIME,
	EFI_GET_WAKEUP,
	EFI_SET_WAKEUP,
	EFI_SET_VIRTUAL,
	EFI_CONVERT,
	EFI_GET_VARIABLE,
	EFI_NEXT_VARIABLE,
	EFI_SET_VARIABLE,
	EFI_MONOTONIC,
	EFI_RESET,
	EFI_UPDATE_CAPSULE,
	EFI_QUERY_CAPSULE,
	EFI_QUERY_VARIABLES,
	EFI_CALLS
};
struct efi_runtime {
	struct efi_header h;
	uint64_t call[EFI_CALLS];
};
_Static_assert(sizeof(struct efi_runtime) == 136, "EFI_RUNTIME_SERVICES");

struct efi_table {
	struct fw_guid guid;
	uint64_t at; /* physical, for good */
};
#define FW_EFI_TABLES 3

struct efi_memory {
	uint32_t type, pad;
	uint64_t at, virtual_at, pages, attributes;
};
#define FW_EFI_MEMORY_LEN 48u /* a step in the map; more than is used, as with most firmware */
#define FW_EFI_MAP_AT 0x30000u

struct fw_efi {
	struct efi_system system;
	struct efi_runtime runtime;
	struct efi_table table[FW_EFI_TABLES];
	struct {
		uint16_t version, len;
		uint32_t supported;
	} properties; /* EFI_RT_PROPERTIES_TABLE */
	struct {
		uint64_t at, len;
	} secret;           /* Linux, struct linux_efi_coco_secret_area */
	uint64_t base, end; /* of the image as it is mapped now */
	uint16_t vendor[8];
	bool moved;
	struct fw_vars vars;
};
extern struct fw_efi fw_efi;

/* The addresses of the services, for the table (efi_runtime.c). */
void fw_efi_calls(uint64_t call[EFI_CALLS]);
/* CRC-32 of a table with its header's field as 0. */
uint32_t fw_efi_crc(const struct efi_header *h);

/* Make the tables, the variable, and the map of memory at `map` (efi_tables.c); the length of the
 * map. */
size_t fw_efi_make(struct fw_efi *efi, uint64_t base, bool can_migrate, const struct fw_area *areas,
		   unsigned n, uint8_t *map);
