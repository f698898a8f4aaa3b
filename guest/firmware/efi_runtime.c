/* SPDX-License-Identifier: Apache-2.0 */

/* The runtime services. Linux calls them at its own virtual addresses, with interrupts off and one
 * at a time; this file and efi_vars.c reach nothing but fw_efi and I/O ports. */

#include "guest/firmware/efi.h"
#include "pc/acpi.h"

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_SECOND 0x00
#define RTC_MINUTE 0x02
#define RTC_HOUR 0x04
#define RTC_DAY 0x07
#define RTC_MONTH 0x08
#define RTC_YEAR 0x09
#define RTC_A 0x0a
#define RTC_A_UPDATING 0x80
#define RTC_B 0x0b
#define RTC_B_BINARY 0x04
#define RTC_CENTURY 0x32
#define RTC_TRIES 10

#define RESET_SHUTDOWN 2

struct efi_time {
	uint16_t year;
	uint8_t month, day, hour, minute, second, pad1;
	uint32_t nanosecond;
	int16_t zone;
	uint8_t daylight, pad2;
};
_Static_assert(sizeof(struct efi_time) == 16, "EFI_TIME");

struct fw_efi fw_efi;

static uint8_t port_in(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static void port_out(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static uint8_t rtc_raw(uint8_t reg)
{
	port_out(RTC_INDEX, reg);
	return port_in(RTC_DATA);
}

static uint8_t rtc(uint8_t reg, bool binary)
{
	uint8_t v = rtc_raw(reg);

	return binary ? v : (uint8_t)((v >> 4) * 10 + (v & 0xf));
}

static void rtc_read(struct efi_time *t)
{
	bool binary = rtc_raw(RTC_B) & RTC_B_BINARY;

	t->second = rtc(RTC_SECOND, binary);
	t->minute = rtc(RTC_MINUTE, binary);
	t->hour = rtc(RTC_HOUR, binary);
	t->day = rtc(RTC_DAY, binary);
	t->month = rtc(RTC_MONTH, binary);
	t->year = (uint16_t)(rtc(RTC_YEAR, binary) + 100 * rtc(RTC_CENTURY, binary));
	t->nanosecond = 0;
	t->zone = 0;
	t->daylight = 0;
	t->pad1 = t->pad2 = 0;
}

/* Read until nothing changed in between. */
static uint64_t EFI_CALL get_time(struct efi_time *t, uint32_t *capabilities)
{
	if (!t)
		return EFI_INVALID_PARAMETER;
	for (unsigned i = 0; i < RTC_TRIES; i++) {
		if (rtc_raw(RTC_A) & RTC_A_UPDATING)
			continue;
		rtc_read(t);
		if (rtc(RTC_SECOND, rtc_raw(RTC_B) & RTC_B_BINARY) != t->second)
			continue;
		if (capabilities) {
			capabilities[0] = 1;        /* resolution, Hz */
			capabilities[1] = 50000000; /* accuracy, 1e-12 */
			capabilities[2] = 0;
		}
		return EFI_SUCCESS;
	}
	return EFI_DEVICE_ERROR;
}

static uint64_t EFI_CALL get_variable(const uint16_t *name, const struct fw_guid *vendor,
				      uint32_t *attributes, uint64_t *len, void *data)
{
	return fw_vars_get(&fw_efi.vars, name, vendor, attributes, len, data);
}

static uint64_t EFI_CALL next_variable(uint64_t *len, uint16_t *name, struct fw_guid *vendor)
{
	return fw_vars_next(&fw_efi.vars, len, name, vendor);
}

static uint64_t EFI_CALL set_variable(const uint16_t *name, const struct fw_guid *vendor,
				      uint32_t attributes, uint64_t len, const void *data)
{
	(void)data;
	return fw_vars_set(&fw_efi.vars, name, vendor, attributes, len);
}

static uint64_t EFI_CALL query_variables(uint32_t attributes, uint64_t *max, uint64_t *left,
					 uint64_t *max_one)
{
	if (!max || !left || !max_one || !attributes)
		return EFI_INVALID_PARAMETER;
	if (attributes & EFI_VARIABLE_NON_VOLATILE)
		return EFI_UNSUPPORTED;
	*max = sizeof(fw_efi.vars.v);
	*left = 0;
	*max_one = sizeof(fw_efi.vars.v[0]);
	return EFI_SUCCESS;
}

static void EFI_CALL reset(uint32_t type, uint64_t status, uint64_t len, const void *data)
{
	(void)status;
	(void)len;
	(void)data;
	if (type == RESET_SHUTDOWN)
		port_out(PC_PORT_SLEEP, PC_SLEEP_OFF);
	port_out(PC_PORT_RESET, PC_RESET_VALUE);
	for (;;)
		__asm__ volatile("hlt");
}

static uint64_t moved(uint64_t at, uint64_t by)
{
	return at >= fw_efi.base && at < fw_efi.end ? at + by : at;
}

/* Once, while the old addresses are still good. */
static uint64_t EFI_CALL set_virtual(uint64_t map_len, uint64_t step, uint32_t version,
				     const uint8_t *map)
{
	struct fw_efi *efi = &fw_efi;

	if (version != 1 || step < sizeof(struct efi_memory) || !map)
		return EFI_INVALID_PARAMETER;
	if (efi->moved)
		return EFI_UNSUPPORTED;
	for (uint64_t o = 0; o + step <= map_len; o += step) {
		const struct efi_memory *m = (const struct efi_memory *)(const void *)(map + o);
		uint64_t by = m->virtual_at - m->at;

		if (efi->base < m->at || efi->base >= m->at + m->pages * 4096)
			continue;
		for (unsigned i = 0; i < EFI_CALLS; i++)
			efi->runtime.call[i] = moved(efi->runtime.call[i], by);
		efi->system.vendor = moved(efi->system.vendor, by);
		efi->system.runtime = moved(efi->system.runtime, by);
		efi->base += by;
		efi->end += by;
		efi->moved = true;
		efi->runtime.h.crc32 = fw_efi_crc(&efi->runtime.h);
		efi->system.h.crc32 = fw_efi_crc(&efi->system.h);
		return EFI_SUCCESS;
	}
	return EFI_NOT_FOUND;
}

/* No pointer is left that could be converted: SetVirtualAddressMap does all of it. */
static uint64_t EFI_CALL unsupported(void)
{
	return EFI_UNSUPPORTED;
}

uint32_t fw_efi_crc(const struct efi_header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	uint32_t crc = 0xffffffff;

	for (uint32_t i = 0; i < h->len; i++) {
		bool own = i >= offsetof(struct efi_header, crc32) &&
			   i < offsetof(struct efi_header, reserved);

		crc ^= own ? 0 : p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

void fw_efi_calls(uint64_t call[EFI_CALLS])
{
	for (unsigned i = 0; i < EFI_CALLS; i++)
		call[i] = (uintptr_t)unsupported;
	call[EFI_GET_TIME] = (uintptr_t)get_time;
	call[EFI_SET_VIRTUAL] = (uintptr_t)set_virtual;
	call[EFI_GET_VARIABLE] = (uintptr_t)get_variable;
	call[EFI_NEXT_VARIABLE] = (uintptr_t)next_variable;
	call[EFI_SET_VARIABLE] = (uintptr_t)set_variable;
	call[EFI_RESET] = (uintptr_t)reset;
	call[EFI_QUERY_VARIABLES] = (uintptr_t)query_variables;
}
