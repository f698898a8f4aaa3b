/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vmm_kernels.h"

#include <errno.h>

#include "vmm/boot_elf.h"

static uint8_t elf[KERNEL_ELF_LEN];
static struct kernel_elf *const k = (struct kernel_elf *)elf;

static int kernel_set(void **state)
{
	(void)state;
	kernel_elf_make(elf);
	return 0;
}

static void refused(size_t len, const char *why)
{
	struct elf_image before = { .entry = 77 }, out = before;
	struct err e = { 0 };

	assert_int_equal(vmm_elf_get(elf, len, &out, &e), -ENOEXEC);
	assert_int_equal(out.entry, 77);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void finds_segments_and_physical_entry(void **state)
{
	struct elf_image out;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(vmm_elf_get(elf, sizeof(elf), &out, &e), 0);
	assert_int_equal(out.entry, 0x1000010);
	assert_int_equal(out.nseg, 2);
	assert_int_equal(out.seg[0].paddr, 0x1000000);
	assert_int_equal(out.seg[0].offset, 0x1000);
	assert_int_equal(out.seg[1].filesz, 0x800);
	assert_int_equal(out.seg[1].memsz, 0x1800);
}

static void translates_virtual_entry(void **state)
{
	struct elf_image out;
	struct err e = { 0 };

	(void)state;
	k->h.e_entry = 0xffffffff81002004;
	assert_int_equal(vmm_elf_get(elf, sizeof(elf), &out, &e), 0);
	assert_int_equal(out.entry, 0x1002004);
}

static void sorts_segments_by_address(void **state)
{
	Elf64_Phdr first = k->ph[0];
	struct elf_image out;
	struct err e = { 0 };

	(void)state;
	k->ph[0] = k->ph[1];
	k->ph[1] = first;
	assert_int_equal(vmm_elf_get(elf, sizeof(elf), &out, &e), 0);
	assert_true(out.seg[0].paddr < out.seg[1].paddr);
}

static void skips_segments_without_memory(void **state)
{
	struct elf_image out;
	struct err e = { 0 };

	(void)state;
	k->ph[1].p_memsz = 0;
	k->ph[1].p_filesz = 0;
	k->ph[1].p_offset = UINT64_MAX;
	assert_int_equal(vmm_elf_get(elf, sizeof(elf), &out, &e), 0);
	assert_int_equal(out.nseg, 1);
}

static void refuses_what_is_not_x86_64(void **state)
{
	(void)state;
	k->h.e_machine = EM_AARCH64;
	refused(sizeof(elf), "not a 64-bit x86");
	kernel_elf_make(elf);
	elf[EI_CLASS] = ELFCLASS32;
	refused(sizeof(elf), "not a 64-bit x86");
	kernel_elf_make(elf);
	elf[0] = 'E';
	refused(sizeof(elf), "not a 64-bit x86");
	kernel_elf_make(elf);
	k->h.e_type = ET_REL;
	refused(sizeof(elf), "not an executable");
}

/* The first thing that is missing is what the error names. */
static void refuses_every_cut_of_the_headers(void **state)
{
	static const struct {
		size_t below;
		const char *why;
	} cuts[] = { { offsetof(Elf64_Ehdr, e_shentsize), "ELF header cut short" },
		     { sizeof(Elf64_Ehdr), "program headers lie beyond" },
		     { offsetof(struct kernel_elf, ph[1]), "program header 0 is cut short" },
		     { sizeof(struct kernel_elf), "segment at 0x1000000 lies beyond" } };
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		for (; len < cuts[i].below; len++)
			refused(len, cuts[i].why);
	}
}

static void refuses_segment_beyond_the_file(void **state)
{
	(void)state;
	refused(0x27ff, "beyond the end of the file");
	k->ph[0].p_offset = UINT64_MAX - 0x10;
	refused(sizeof(elf), "beyond the end of the file");
}

static void refuses_program_headers_beyond_the_file(void **state)
{
	(void)state;
	k->h.e_phoff = UINT64_MAX;
	refused(sizeof(elf), "program headers lie beyond");
	k->h.e_phoff = sizeof(elf) - 8;
	refused(sizeof(elf), "program header 0 is cut short");
}

static void refuses_program_headers_of_another_size(void **state)
{
	(void)state;
	k->h.e_phentsize = 32;
	refused(sizeof(elf), "program headers of 32 bytes");
}

static void refuses_more_in_the_file_than_in_memory(void **state)
{
	(void)state;
	k->ph[0].p_memsz = 0xfff;
	refused(sizeof(elf), "larger in the file than in memory");
}

static void refuses_segment_that_wraps_around(void **state)
{
	(void)state;
	k->ph[1].p_paddr = UINT64_MAX - 0x100;
	refused(sizeof(elf), "wraps around");
}

static void refuses_overlapping_segments_either_way(void **state)
{
	(void)state;
	k->ph[1].p_paddr = 0x1000fff;
	refused(sizeof(elf), "overlaps another");
	k->ph[1].p_paddr = 0xfff000;
	refused(sizeof(elf), "overlaps another");
	k->ph[1].p_paddr = k->ph[0].p_paddr;
	refused(sizeof(elf), "overlaps another");
}

static void refuses_entry_outside_what_the_file_holds(void **state)
{
	(void)state;
	k->h.e_entry = 0x1001000;
	refused(sizeof(elf), "lies in no segment");
	k->h.e_entry = 0x1002800; /* zeros after the data */
	refused(sizeof(elf), "lies in no segment");
	k->h.e_entry = 0xffffffff80000000;
	refused(sizeof(elf), "lies in no segment");
}

static void refuses_no_segments(void **state)
{
	(void)state;
	k->h.e_phnum = 0;
	refused(sizeof(elf), "no segment to load");
}

static void refuses_too_many_segments(void **state)
{
	Elf64_Phdr ph = k->ph[0];

	(void)state;
	k->h.e_phnum = ELF_SEGMENTS_MAX + 1;
	for (unsigned i = 0; i <= ELF_SEGMENTS_MAX; i++) {
		ph.p_paddr = 0x1000000 + i * 0x1000ull;
		memcpy(elf + sizeof(Elf64_Ehdr) + i * sizeof(ph), &ph, sizeof(ph));
	}
	refused(sizeof(elf), "more than 32 segments");
}

#define elf_test(f) cmocka_unit_test_setup(f, kernel_set)

int main(void)
{
	const struct CMUnitTest tests[] = {
		elf_test(finds_segments_and_physical_entry),
		elf_test(translates_virtual_entry),
		elf_test(sorts_segments_by_address),
		elf_test(skips_segments_without_memory),
		elf_test(refuses_what_is_not_x86_64),
		elf_test(refuses_every_cut_of_the_headers),
		elf_test(refuses_segment_beyond_the_file),
		elf_test(refuses_program_headers_beyond_the_file),
		elf_test(refuses_program_headers_of_another_size),
		elf_test(refuses_more_in_the_file_than_in_memory),
		elf_test(refuses_segment_that_wraps_around),
		elf_test(refuses_overlapping_segments_either_way),
		elf_test(refuses_entry_outside_what_the_file_holds),
		elf_test(refuses_no_segments),
		elf_test(refuses_too_many_segments),
	};

	return cmocka_run_group_tests_name("vmm_elf", tests, NULL, NULL);
}
