/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/impl.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/firmware.h"

int vmm_memory_layout(uint64_t size, uint64_t firmware_len, struct mig_ram ram[VMM_RAM_RANGES],
		      size_t *n, struct err *e)
{
	uint64_t low = size < VMM_RAM_LOW_MAX ? size : VMM_RAM_LOW_MAX;

	if (size < (8u << 20) || size % (2u << 20))
		return err_set(e, -EINVAL,
			       "memory of %llu bytes: must be a multiple of 2 MiB, at least 8 MiB",
			       (unsigned long long)size);
	if (size > 1ull << 40)
		return err_set(e, -EINVAL, "memory of %llu bytes: at most 1 TiB",
			       (unsigned long long)size);
	if (firmware_len > FIRMWARE_LEN_MAX || firmware_len % PAGE_LEN)
		return err_set(e, -EINVAL,
			       "firmware of %llu bytes: must be whole pages, at most %u bytes",
			       (unsigned long long)firmware_len, FIRMWARE_LEN_MAX);
	*n = 0;
	ram[(*n)++] = (struct mig_ram){ .at = gpa(0), .size = low };
	if (firmware_len)
		ram[(*n)++] = (struct mig_ram){ .at = gpa(FIRMWARE_TOP - firmware_len),
						.size = firmware_len };
	if (size > low)
		ram[(*n)++] = (struct mig_ram){ .at = gpa(VMM_RAM_HIGH), .size = size - low };
	return 0;
}

static int memory_map_one(struct vmm_memory *m, size_t i, struct err *e)
{
	auto_fd int fd = memfd_create("sevmig-shared", MFD_CLOEXEC);
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)m->ram[i].size) < 0)
		return err_set(e, -errno, "guest memory: %m");
	p = mmap(NULL, m->ram[i].size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return err_set(e, -errno, "guest memory: map %llu bytes: %m",
			       (unsigned long long)m->ram[i].size);
	m->ram[i].shared = p;
	m->fd[i] = steal_fd(&fd);
	return 0;
}

int vmm_memory_map(struct vmm_memory *m, uint64_t size, uint64_t firmware_len, struct err *e)
{
	int r;

	*m = (struct vmm_memory){ .fd = { -1, -1, -1 }, .firmware_len = firmware_len };
	r = vmm_memory_layout(size, firmware_len, m->ram, &m->nram, e);
	for (size_t i = 0; !r && i < m->nram; i++)
		r = memory_map_one(m, i, e);
	return r;
}

static bool memory_is_firmware(const struct vmm_memory *m, size_t i)
{
	return m->firmware_len && m->ram[i].at.v == FIRMWARE_TOP - m->firmware_len;
}

int vmm_memory_attach(struct vm *vm, struct err *e)
{
	struct vmm_memory *m = &vm->mem;

	for (size_t i = 0; i < m->nram; i++) {
		struct sev_ram ram = { .at = m->ram[i].at,
				       .size = m->ram[i].size,
				       .shared = m->ram[i].shared,
				       .first_slot = (uint32_t)(i * SEV_SLOTS_PER_RAM),
				       .always_private = memory_is_firmware(m, i) };
		size_t n = 0;
		int r = sev_vm_ram_add(vm->mig.sev, &ram, &m->slot[m->nslot], &n, e);

		if (r < 0)
			return err_wrap(e, r, "RAM at %#llx", (unsigned long long)ram.at.v);
		m->nslot += n;
	}
	return 0;
}

uint8_t *vmm_memory_at(const struct vmm_memory *m, struct gpa at, uint64_t len)
{
	for (size_t i = 0; i < m->nram; i++) {
		uint64_t off = at.v - m->ram[i].at.v;

		if (at.v >= m->ram[i].at.v && off < m->ram[i].size && len <= m->ram[i].size - off)
			return m->ram[i].shared + off;
	}
	return NULL;
}

void vmm_memory_unmap(struct vmm_memory *m)
{
	for (size_t i = 0; i < m->nram; i++) {
		if (m->ram[i].shared)
			munmap(m->ram[i].shared, m->ram[i].size);
		if (m->fd[i] >= 0)
			close(m->fd[i]);
	}
	m->nram = 0;
}
