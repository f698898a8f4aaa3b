/* SPDX-License-Identifier: Apache-2.0 */

/* Called by Linux: touches nothing but its arguments. Variables with run-time access that are not
 * non-volatile can be read only once the system runs (UEFI 2.10, 8.2); others there are none. */

#include "guest/firmware/efi.h"

#define KNOWN_ATTRIBUTES                                                                           \
	(EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)

static bool guid_same(const struct fw_guid *a, const struct fw_guid *b)
{
	for (unsigned i = 0; i < sizeof(a->b); i++)
		if (a->b[i] != b->b[i])
			return false;
	return true;
}

static bool name_same(const uint16_t *a, const uint16_t *b)
{
	for (unsigned i = 0; i < FW_VAR_NAME_MAX; i++) {
		if (a[i] != b[i])
			return false;
		if (a[i] == 0)
			return true;
	}
	return false;
}

static uint64_t name_len(const uint16_t *name)
{
	uint64_t n = 0;

	while (name[n])
		n++;
	return (n + 1) * 2;
}

/* s->n: not there. */
static uint32_t find(const struct fw_vars *s, const uint16_t *name, const struct fw_guid *vendor)
{
	uint32_t i = 0;

	while (i < s->n && !(name_same(s->v[i].name, name) && guid_same(&s->v[i].vendor, vendor)))
		i++;
	return i;
}

bool fw_vars_add(struct fw_vars *s, const char *name, const struct fw_guid *vendor,
		 const void *data, uint32_t len)
{
	struct fw_var *v = &s->v[s->n];
	const uint8_t *from = data;
	unsigned n = 0;

	if (s->n == FW_VARS_MAX || len == 0 || len > FW_VAR_DATA_MAX)
		return false;
	for (; name[n] && n < FW_VAR_NAME_MAX - 1; n++)
		v->name[n] = (uint8_t)name[n];
	if (name[n])
		return false;
	v->name[n] = 0;
	for (unsigned i = 0; i < sizeof(vendor->b); i++)
		v->vendor.b[i] = vendor->b[i];
	for (uint32_t i = 0; i < len; i++)
		v->data[i] = from[i];
	v->data_len = len;
	v->attributes = EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS;
	s->n++;
	return true;
}

uint64_t fw_vars_get(const struct fw_vars *s, const uint16_t *name, const struct fw_guid *vendor,
		     uint32_t *attributes, uint64_t *len, void *data)
{
	const struct fw_var *v;
	uint8_t *to = data;
	uint32_t i;

	if (!name || !vendor || !len)
		return EFI_INVALID_PARAMETER;
	i = find(s, name, vendor);
	if (i == s->n)
		return EFI_NOT_FOUND;
	v = &s->v[i];
	if (attributes)
		*attributes = v->attributes;
	if (*len < v->data_len) {
		*len = v->data_len;
		return EFI_BUFFER_TOO_SMALL;
	}
	*len = v->data_len;
	if (!to)
		return EFI_INVALID_PARAMETER;
	for (i = 0; i < v->data_len; i++)
		to[i] = v->data[i];
	return EFI_SUCCESS;
}

uint64_t fw_vars_next(const struct fw_vars *s, uint64_t *len, uint16_t *name,
		      struct fw_guid *vendor)
{
	const struct fw_var *v;
	uint64_t need;
	uint32_t i = 0;

	if (!len || !name || !vendor)
		return EFI_INVALID_PARAMETER;
	if (name[0]) {
		i = find(s, name, vendor);
		if (i == s->n)
			return EFI_INVALID_PARAMETER;
		i++;
	}
	if (i == s->n)
		return EFI_NOT_FOUND;
	v = &s->v[i];
	need = name_len(v->name);
	if (*len < need) {
		*len = need;
		return EFI_BUFFER_TOO_SMALL;
	}
	*len = need;
	for (i = 0; i < need / 2; i++)
		name[i] = v->name[i];
	for (i = 0; i < sizeof(vendor->b); i++)
		vendor->b[i] = v->vendor.b[i];
	return EFI_SUCCESS;
}

uint64_t fw_vars_set(const struct fw_vars *s, const uint16_t *name, const struct fw_guid *vendor,
		     uint32_t attributes, uint64_t len)
{
	if (!name || !vendor || !name[0])
		return EFI_INVALID_PARAMETER;
	if (find(s, name, vendor) < s->n)
		return EFI_WRITE_PROTECTED;
	if (len == 0 || !(attributes & EFI_VARIABLE_RUNTIME_ACCESS))
		return EFI_NOT_FOUND; /* a deletion */
	if (attributes & ~KNOWN_ATTRIBUTES)
		return EFI_UNSUPPORTED;
	if (attributes & EFI_VARIABLE_NON_VOLATILE)
		return EFI_OUT_OF_RESOURCES; /* there is nothing to keep it in */
	return EFI_INVALID_PARAMETER;
}
