/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot_elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/rdwr.h"

#define ENTRY_PHYSICAL_BELOW 0x100000000ull

struct elf_header {
	uint16_t type, machine, phentsize, phnum;
	uint64_t entry, phoff;
};

struct elf_phdr {
	uint32_t type;
	uint64_t vaddr;
	struct elf_segment seg;
};

static int elf_header_get(struct rd in, struct elf_header *h, struct err *e)
{
	uint8_t ident[EI_NIDENT];

	rd_bytes(&in, ident, sizeof(ident));
	rd_le16(&in, &h->type);
	rd_le16(&in, &h->machine);
	rd_skip(&in, 4);
	rd_le64(&in, &h->entry);
	rd_le64(&in, &h->phoff);
	rd_skip(&in, 8 + 4 + 2);
	rd_le16(&in, &h->phentsize);
	rd_le16(&in, &h->phnum);
	if (!rd_ok(&in))
		return err_set(e, -ENOEXEC, "ELF header cut short");
	if (memcmp(ident, ELFMAG, SELFMAG) || ident[EI_CLASS] != ELFCLASS64 ||
	    ident[EI_DATA] != ELFDATA2LSB || h->machine != EM_X86_64)
		return err_set(e, -ENOEXEC, "not a 64-bit x86 ELF file");
	if (h->type != ET_EXEC && h->type != ET_DYN)
		return err_set(e, -ENOEXEC, "ELF type %u is not an executable", h->type);
	if (h->phentsize != sizeof(Elf64_Phdr))
		return err_set(e, -ENOEXEC, "ELF program headers of %u bytes", h->phentsize);
	return 0;
}

static int elf_phdr_get(struct rd *in, struct elf_phdr *ph)
{
	rd_le32(in, &ph->type);
	rd_skip(in, 4);
	rd_le64(in, &ph->seg.offset);
	rd_le64(in, &ph->vaddr);
	rd_le64(in, &ph->seg.paddr);
	rd_le64(in, &ph->seg.filesz);
	rd_le64(in, &ph->seg.memsz);
	return rd_skip(in, 8);
}

static int elf_segment_check(const struct elf_segment *s, size_t file_len, struct err *e)
{
	uint64_t end;

	if (s->filesz > s->memsz)
		return err_set(e, -ENOEXEC,
			       "segment at %#" PRIx64 " is larger in the file than in memory",
			       s->paddr);
	if (__builtin_add_overflow(s->offset, s->filesz, &end) || end > file_len)
		return err_set(e, -ENOEXEC,
			       "segment at %#" PRIx64 " lies beyond the end of the file", s->paddr);
	if (__builtin_add_overflow(s->paddr, s->memsz, &end))
		return err_set(e, -ENOEXEC, "segment at %#" PRIx64 " wraps around", s->paddr);
	return 0;
}

/* Keep out->seg sorted; nseg is small. */
static int elf_segment_insert(struct elf_image *out, const struct elf_segment *s, struct err *e)
{
	size_t i = out->nseg;

	if (out->nseg == ELF_SEGMENTS_MAX)
		return err_set(e, -ENOEXEC, "more than %d segments", ELF_SEGMENTS_MAX);
	while (i > 0 && out->seg[i - 1].paddr > s->paddr)
		i--;
	if ((i > 0 && out->seg[i - 1].paddr + out->seg[i - 1].memsz > s->paddr) ||
	    (i < out->nseg && s->paddr + s->memsz > out->seg[i].paddr))
		return err_set(e, -ENOEXEC, "segment at %#" PRIx64 " overlaps another", s->paddr);
	memmove(&out->seg[i + 1], &out->seg[i], (out->nseg - i) * sizeof(out->seg[0]));
	out->seg[i] = *s;
	out->nseg++;
	return 0;
}

/* Linux names its entry by physical address, other kernels by a virtual one in the high half. */
static bool elf_entry_in(uint64_t entry, const struct elf_phdr *ph, uint64_t *physical)
{
	if (entry < ENTRY_PHYSICAL_BELOW && entry >= ph->seg.paddr &&
	    entry - ph->seg.paddr < ph->seg.filesz)
		*physical = entry;
	else if (entry >= ENTRY_PHYSICAL_BELOW && entry >= ph->vaddr &&
		 entry - ph->vaddr < ph->seg.filesz)
		*physical = ph->seg.paddr + (entry - ph->vaddr);
	else
		return false;
	return true;
}

int vmm_elf_get(const uint8_t *p, size_t len, struct elf_image *out, struct err *e)
{
	struct elf_image img = { 0 };
	struct elf_header h;
	struct rd in = rd_of(p, len);
	bool entered = false;
	int r = elf_header_get(in, &h, e);

	if (r)
		return r;
	if (h.phoff > len || rd_skip(&in, (size_t)h.phoff))
		return err_set(e, -ENOEXEC, "program headers lie beyond the end of the file");
	for (unsigned i = 0; i < h.phnum; i++) {
		struct elf_phdr ph;

		if (elf_phdr_get(&in, &ph))
			return err_set(e, -ENOEXEC, "program header %u is cut short", i);
		if (ph.type != PT_LOAD || ph.seg.memsz == 0)
			continue;
		r = elf_segment_check(&ph.seg, len, e);
		if (!r)
			r = elf_segment_insert(&img, &ph.seg, e);
		if (r)
			return r;
		entered = elf_entry_in(h.entry, &ph, &img.entry) || entered;
	}
	if (img.nseg == 0)
		return err_set(e, -ENOEXEC, "no segment to load");
	if (!entered)
		return err_set(e, -ENOEXEC, "entry %#" PRIx64 " lies in no segment", h.entry);
	*out = img;
	return 0;
}
