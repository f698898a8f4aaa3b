/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include <asm/bootparam.h>

#include "abi/handler.h"
#include "base/auto.h"
#include "base/fd.h"
#include "vmm/boot_kernel.h"

#define BOOT_KERNEL_LOW 0x100000ull /* below: the boot structures */
#define BOOT_MAPPED_END 0x100000000ull
#define BOOT_LOW_END 0x9fc00u
#define BOOT_TABLE_COUNT 6u   /* PML4, PDPT, four page directories: 4 GiB by 2 MiB pages */
#define BOOT_PTE_TABLE 0x3ull /* present, writable */
#define BOOT_PTE_2M 0x83ull
#define BOOT_GDT_CODE 0x00af9b000000ffffull /* 64-bit, CPL0 */
#define BOOT_GDT_DATA 0x00cf93000000ffffull
#define BOOT_LOADER_OTHER 0xff
#define BOOT_E820_RAM 1
#define BOOT_E820_RESERVED 2
#define BOOT_ROUND_UP(v) (((v) + PAGE_LEN - 1) & ~(uint64_t)(PAGE_LEN - 1))
#define BOOT_ROUND_DOWN(v) ((v) & ~(uint64_t)(PAGE_LEN - 1))

_Static_assert(sizeof(struct boot_params) == PAGE_LEN, "boot_params is one page");

/* One boot under way. */
struct boot_job {
	const struct boot_machine *m;
	struct boot_image *img;
	uint8_t *low; /* shared face of the first MiB */
	uint64_t kernel_end;
	struct boot_params params;
};

/* The shared face of [at, at+len), or NULL where there is no (single) RAM range. */
static uint8_t *boot_ram(const struct boot_machine *m, uint64_t at, uint64_t len)
{
	for (size_t i = 0; i < m->nram; i++) {
		const struct mig_ram *r = &m->ram[i];

		if (at >= r->at.v && at - r->at.v <= r->size && len <= r->size - (at - r->at.v))
			return r->shared + (at - r->at.v);
	}
	return NULL;
}

/* Where the RAM that starts at 0 ends. */
static uint64_t boot_low_end(const struct boot_machine *m)
{
	uint64_t end = 0;

	for (size_t i = 0; i < m->nram && m->ram[i].at.v == end; i++)
		end += m->ram[i].size;
	return end;
}

/* Pages of [at, at+len) are to be encrypted. Ranges come ascending; ones that touch become one. */
static int boot_range_add(struct boot_job *job, uint64_t at, uint64_t len, struct err *e)
{
	struct boot_image *img = job->img;
	uint64_t start = BOOT_ROUND_DOWN(at), end = BOOT_ROUND_UP(at + len);
	struct boot_range *last = img->nrange ? &img->range[img->nrange - 1] : NULL;
	uint8_t *p;

	if (last && start < last->at.v + last->len)
		start = last->at.v + last->len;
	if (start >= end)
		return 0;
	p = boot_ram(job->m, start, end - start);
	if (!p)
		return err_set(e, -EINVAL, "no RAM at %#" PRIx64 " to %#" PRIx64, start, end);
	if (last && last->at.v + last->len == start && last->shared + last->len == p) {
		last->len += end - start;
		return 0;
	}
	if (img->nrange == BOOT_RANGES_MAX)
		return err_set(e, -E2BIG, "more than %d pieces to load", BOOT_RANGES_MAX);
	img->range[img->nrange++] = (struct boot_range){ gpa(start), end - start, p };
	return 0;
}

static bool boot_on_handler(const struct boot_machine *m, uint64_t at, uint64_t end)
{
	return m->handler && at < HANDLER_END && end > HANDLER_BASE;
}

static int boot_segment_load(struct boot_job *job, const struct elf_segment *s, const uint8_t *elf,
			     struct err *e)
{
	uint64_t end = s->paddr + s->memsz;
	uint8_t *to;

	if (s->paddr < BOOT_KERNEL_LOW)
		return err_set(e, -EINVAL,
			       "segment at %#" PRIx64 " would lie on the boot structures; link the "
			       "kernel at 1 MiB or above",
			       s->paddr);
	if (boot_on_handler(job->m, s->paddr, end))
		return err_set(e, -EINVAL,
			       "segment at %#" PRIx64 " to %#" PRIx64 " would lie on the migration "
			       "handler, %#llx to %#llx",
			       s->paddr, end, HANDLER_BASE, HANDLER_END);
	if (end > BOOT_MAPPED_END)
		return err_set(e, -EINVAL, "segment at %#" PRIx64 " ends above 4 GiB", s->paddr);
	to = boot_ram(job->m, s->paddr, s->memsz);
	if (!to)
		return err_set(e, -ENOSPC,
			       "segment at %#" PRIx64 " to %#" PRIx64
			       " lies outside RAM, which ends "
			       "at %#" PRIx64 "; give the guest more memory",
			       s->paddr, end, boot_low_end(job->m));
	memcpy(to, elf + s->offset, (size_t)s->filesz);
	memset(to + s->filesz, 0, (size_t)(s->memsz - s->filesz));
	job->kernel_end = end;
	return boot_range_add(job, s->paddr, s->memsz, e);
}

static int boot_kernel_load(struct boot_job *job, const char *path, struct err *e)
{
	auto_boot_kernel struct boot_kernel k = { 0 };
	int r = vmm_boot_kernel_read(path, &k, e);

	if (r)
		return r;
	memcpy((uint8_t *)&job->params + PC_SETUP_AT, k.setup, sizeof(k.setup));
	for (size_t i = 0; i < k.img.nseg; i++) {
		r = boot_segment_load(job, &k.img.seg[i], k.elf.p, e);
		if (r)
			return err_wrap(e, r, "kernel %s", path);
	}
	job->img->entry = gpa(k.img.entry);
	return 0;
}

/* As high as the kernel allows, page aligned, in one RAM range that starts below 2 GiB. */
static int boot_initrd_place(struct boot_job *job, uint64_t len, uint64_t *at, struct err *e)
{
	uint64_t end = boot_low_end(job->m);
	uint64_t max = job->params.hdr.initrd_addr_max + 1ull;

	if (end > BOOT_INITRD_END)
		end = BOOT_INITRD_END;
	if (end > max)
		end = max;
	if (len >= end || BOOT_ROUND_DOWN(end - len) < BOOT_ROUND_UP(job->kernel_end))
		return err_set(e, -ENOSPC,
			       "%" PRIu64 " bytes do not fit between the kernel's end at %#" PRIx64
			       " and %#" PRIx64 "; give the guest more memory",
			       len, job->kernel_end, end);
	*at = BOOT_ROUND_DOWN(end - len);
	if (boot_on_handler(job->m, *at, end))
		return err_set(e, -ENOSPC,
			       "%" PRIu64 " bytes do not fit above the migration handler; give the "
			       "guest more memory",
			       len);
	return 0;
}

static int boot_initrd_load(struct boot_job *job, const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint64_t at = 0;
	struct stat st;
	uint8_t *to;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return err_set(e, -errno, "initrd %s: %m", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(e, -EINVAL, "initrd %s: not a file with something in it", path);
	r = boot_initrd_place(job, (uint64_t)st.st_size, &at, e);
	if (r)
		return err_wrap(e, r, "initrd %s", path);
	to = boot_ram(job->m, at, (uint64_t)st.st_size);
	if (!to)
		return err_set(e, -ENOSPC, "initrd %s: crosses the end of a RAM range", path);
	r = fd_read_all(fd, to, (size_t)st.st_size, path, e);
	if (r)
		return err_wrap(e, r, "initrd");
	job->params.hdr.ramdisk_image = (uint32_t)at;
	job->params.hdr.ramdisk_size = (uint32_t)st.st_size;
	return boot_range_add(job, at, (uint64_t)st.st_size, e);
}

static int boot_cmdline_put(struct boot_job *job, const char *text, struct err *e)
{
	size_t len = strlen(text), max = job->params.hdr.cmdline_size;

	if (max > BOOT_CMDLINE_MAX)
		max = BOOT_CMDLINE_MAX;
	if (len > max)
		return err_set(e, -E2BIG,
			       "command line of %zu bytes, the kernel takes %zu; shorten it", len,
			       max);
	memcpy(job->low + BOOT_CMDLINE, text, len + 1);
	job->params.hdr.cmd_line_ptr = BOOT_CMDLINE;
	return 0;
}

static void boot_e820_add(struct boot_params *bp, uint64_t start, uint64_t end, uint32_t type)
{
	if (start < end)
		bp->e820_table[bp->e820_entries++] =
			(struct boot_e820_entry){ start, end - start, type };
}

/* RAM, but for the handler's. */
static void boot_e820_ram(struct boot_job *job, uint64_t start, uint64_t end)
{
	struct boot_params *bp = &job->params;

	if (!boot_on_handler(job->m, start, end)) {
		boot_e820_add(bp, start, end, BOOT_E820_RAM);
		return;
	}
	boot_e820_add(bp, start, HANDLER_BASE, BOOT_E820_RAM);
	boot_e820_add(bp, HANDLER_BASE, HANDLER_END, BOOT_E820_RESERVED);
	boot_e820_add(bp, HANDLER_END, end, BOOT_E820_RAM);
}

static void boot_e820_fill(struct boot_job *job)
{
	boot_e820_add(&job->params, 0, BOOT_LOW_END, BOOT_E820_RAM);
	for (size_t i = 0; i < job->m->nram; i++) {
		uint64_t start = job->m->ram[i].at.v, end = start + job->m->ram[i].size;

		boot_e820_ram(job, start < BOOT_KERNEL_LOW ? BOOT_KERNEL_LOW : start, end);
	}
}

/* Identity map of the first 4 GiB. Every entry has the C-bit: hardware walks page tables as private
 * anyway, the software platform needs it, and all that boot touches is private. */
static void boot_tables_write(uint8_t *at, uint64_t cbit)
{
	uint64_t t[BOOT_TABLE_COUNT][512] = { 0 };

	t[0][0] = (BOOT_TABLES + PAGE_LEN) | BOOT_PTE_TABLE | cbit;
	for (unsigned i = 0; i < 4; i++)
		t[1][i] = (BOOT_TABLES + (2 + i) * PAGE_LEN) | BOOT_PTE_TABLE | cbit;
	for (unsigned i = 0; i < 4 * 512; i++)
		t[2 + i / 512][i % 512] = ((uint64_t)i << 21) | BOOT_PTE_2M | cbit;
	memcpy(at, t, sizeof(t));
}

static void boot_low_write(struct boot_job *job)
{
	const uint64_t gdt[] = { 0, 0, BOOT_GDT_CODE, BOOT_GDT_DATA };
	struct boot_params *bp = &job->params;

	bp->hdr.type_of_loader = BOOT_LOADER_OTHER;
	bp->acpi_rsdp_addr = job->m->rsdp.v;
	boot_e820_fill(job);
	memcpy(job->low + BOOT_GDT, gdt, sizeof(gdt));
	memcpy(job->low + BOOT_PARAMS, bp, sizeof(*bp));
	boot_tables_write(job->low + BOOT_TABLES, 1ull << job->m->cbit);
	job->img->gdt = gpa(BOOT_GDT);
	job->img->gdt_limit = sizeof(gdt) - 1;
	job->img->params = gpa(BOOT_PARAMS);
	job->img->stack = gpa(BOOT_STACK_TOP);
	job->img->cr3 = gpa(BOOT_TABLES);
}

static int boot_low_ranges(struct boot_job *job, struct err *e)
{
	int r = boot_range_add(job, BOOT_GDT, 1, e);

	if (!r)
		r = boot_range_add(job, BOOT_PARAMS,
				   BOOT_TABLES + BOOT_TABLE_COUNT * PAGE_LEN - BOOT_PARAMS, e);
	if (!r)
		r = boot_range_add(job, BOOT_CMDLINE, BOOT_CMDLINE_MAX + 1, e);
	return r;
}

int vmm_boot_load(const struct vm_boot *what, const struct boot_machine *m, struct boot_image *out,
		  struct err *e)
{
	struct boot_job job = { .m = m, .img = out, .low = boot_ram(m, 0, BOOT_KERNEL_LOW) };
	int r;

	memset(out, 0, sizeof(*out));
	if (!job.low || m->nram + 2 >= E820_MAX_ENTRIES_ZEROPAGE)
		return err_set(e, -EINVAL, "guest RAM must begin with 1 MiB at address 0");
	r = boot_low_ranges(&job, e);
	if (!r)
		r = boot_kernel_load(&job, what->kernel, e);
	if (!r && what->initrd)
		r = boot_initrd_load(&job, what->initrd, e);
	if (!r)
		r = boot_cmdline_put(&job, what->append ? what->append : "", e);
	if (!r)
		boot_low_write(&job);
	return r;
}
