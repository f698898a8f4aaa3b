/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vmm_kernels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <asm/bootparam.h>

#include "base/fd.h"
#include "vmm/boot.h"

#define CBIT 47
#define RAM_LOW (64ull << 20)
#define RAM_HIGH (4ull << 20)

static char dir[] = "/tmp/vmm-boot-XXXXXX";
static char kernel_path[64], initrd_path[64];
static uint8_t elf[KERNEL_ELF_LEN];
static struct kernel_elf *const k = (struct kernel_elf *)elf;
static struct mig_ram ram[2] = { { { 0 }, RAM_LOW, NULL }, { { 4ull << 30 }, RAM_HIGH, NULL } };
static struct boot_machine machine;
static struct vm_boot boot;
static struct boot_image img;

static void file_write(const char *path, const void *p, size_t len)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err e = { 0 };

	assert_int_equal(fd_write_all(fd, p, len, path, &e), 0);
}

static void *ram_map(uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int boot_set(void **state)
{
	(void)state;
	ram[0].size = RAM_LOW;
	ram[0].shared = ram_map(RAM_LOW);
	ram[1].shared = ram_map(RAM_HIGH);
	machine = (struct boot_machine){ .ram = ram, .nram = 2, .cbit = CBIT };
	boot = (struct vm_boot){ .kernel = kernel_path };
	kernel_elf_make(elf);
	file_write(kernel_path, elf, sizeof(elf));
	return 0;
}

static int boot_clear(void **state)
{
	(void)state;
	munmap(ram[0].shared, RAM_LOW);
	munmap(ram[1].shared, RAM_HIGH);
	return 0;
}

static void load(void)
{
	struct err e = { 0 };

	if (vmm_boot_load(&boot, &machine, &img, &e))
		fail_msg("%s", e.msg);
}

static void refused(int code, const char *why)
{
	struct err e = { 0 };

	assert_int_equal(vmm_boot_load(&boot, &machine, &img, &e), code);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void refused_elf(int code, const char *why)
{
	file_write(kernel_path, elf, sizeof(elf));
	refused(code, why);
}

static const struct boot_params *params(void)
{
	return (const struct boot_params *)(ram[0].shared + BOOT_PARAMS);
}

static bool listed(uint64_t at, uint64_t len)
{
	for (size_t i = 0; i < img.nrange; i++) {
		if (at >= img.range[i].at.v && at + len <= img.range[i].at.v + img.range[i].len)
			return true;
	}
	return false;
}

static void loads_elf_segments_and_clears_what_follows(void **state)
{
	(void)state;
	memset(ram[0].shared + 0x1002800, 0xee, 0x1000);
	load();
	assert_int_equal(img.entry.v, 0x1000010);
	assert_int_equal(ram[0].shared[0x1000000], 0x11);
	assert_int_equal(ram[0].shared[0x1000fff], 0x11);
	assert_int_equal(ram[0].shared[0x10027ff], 0x22);
	assert_int_equal(ram[0].shared[0x1002800], 0);
	assert_int_equal(ram[0].shared[0x10037ff], 0);
}

static void lists_everything_written_once_and_in_order(void **state)
{
	uint64_t end = 0;

	(void)state;
	file_write(initrd_path, "initrd", 6);
	boot.initrd = initrd_path;
	boot.append = "a=b";
	load();
	for (size_t i = 0; i < img.nrange; i++) {
		assert_int_equal(img.range[i].at.v % PAGE_LEN, 0);
		assert_int_equal(img.range[i].len % PAGE_LEN, 0);
		assert_true(img.range[i].at.v >= end && img.range[i].len);
		assert_ptr_equal(img.range[i].shared, ram[0].shared + img.range[i].at.v);
		end = img.range[i].at.v + img.range[i].len;
	}
	for (uint64_t at = 0; at < RAM_LOW; at += PAGE_LEN) {
		static const uint8_t zero[PAGE_LEN];

		if (!listed(at, PAGE_LEN))
			assert_memory_equal(ram[0].shared + at, zero, PAGE_LEN);
	}
	assert_true(listed(BOOT_GDT, 32) && listed(BOOT_PARAMS, PAGE_LEN));
	assert_true(listed(BOOT_TABLES, 6 * PAGE_LEN) && listed(BOOT_CMDLINE, 4));
	assert_true(listed(0x1000000, 0x1000) && listed(0x1002000, 0x1800));
	assert_true(listed(params()->hdr.ramdisk_image, 6));
}

static void page_tables_map_4_gib_with_the_cbit(void **state)
{
	const uint64_t c = 1ull << CBIT, addr = 0xffffffff000ull;
	const uint64_t *t = NULL;

	(void)state;
	load();
	assert_int_equal(img.cr3.v, BOOT_TABLES);
	for (uint64_t va = 0; va < 1ull << 32; va += 1ull << 21) {
		uint64_t at = img.cr3.v;

		for (int shift = 39; shift >= 21; shift -= 9) {
			t = (const uint64_t *)(ram[0].shared + at);
			at = t[va >> shift & 511];
			assert_true(at & c);
			assert_int_equal(at & 3, 3);
			assert_int_equal(!!(at & 0x80), shift == 21);
			at &= addr & ~c;
		}
		assert_true(at == va);
	}
}

static void gdt_has_code_and_data(void **state)
{
	const uint64_t *gdt = (const uint64_t *)(ram[0].shared + BOOT_GDT);

	(void)state;
	load();
	assert_int_equal(img.gdt.v, BOOT_GDT);
	assert_true(gdt[BOOT_CS / 8] == 0x00af9b000000ffff);
	assert_true(gdt[BOOT_DS / 8] == 0x00cf93000000ffff);
	assert_true(img.gdt_limit >= BOOT_DS + 7);
}

static void boot_params_describe_memory_and_command_line(void **state)
{
	const struct boot_params *bp = params();

	(void)state;
	boot.append = "console=ttyS0";
	machine.rsdp = gpa(0xe0000);
	load();
	assert_int_equal(img.params.v, BOOT_PARAMS);
	assert_int_equal(bp->e820_entries, 3);
	assert_true(bp->e820_table[0].addr == 0 && bp->e820_table[0].size == 0x9fc00);
	assert_true(bp->e820_table[1].addr == 0x100000);
	assert_true(bp->e820_table[1].size == RAM_LOW - 0x100000);
	assert_true(bp->e820_table[2].addr == 4ull << 30);
	assert_true(bp->e820_table[2].size == RAM_HIGH);
	assert_int_equal(bp->hdr.type_of_loader, 0xff);
	assert_int_equal(bp->hdr.cmd_line_ptr, BOOT_CMDLINE);
	assert_string_equal((char *)ram[0].shared + BOOT_CMDLINE, "console=ttyS0");
	assert_int_equal(bp->acpi_rsdp_addr, 0xe0000);
}

static void initrd_lies_high_and_whole(void **state)
{
	static uint8_t data[5000];

	(void)state;
	memset(data, 0x5a, sizeof(data));
	file_write(initrd_path, data, sizeof(data));
	boot.initrd = initrd_path;
	load();
	assert_int_equal(params()->hdr.ramdisk_image, RAM_LOW - 2 * PAGE_LEN);
	assert_int_equal(params()->hdr.ramdisk_size, sizeof(data));
	assert_memory_equal(ram[0].shared + RAM_LOW - 2 * PAGE_LEN, data, sizeof(data));
}

static void initrd_stays_below_2_gib(void **state)
{
	(void)state;
	munmap(ram[0].shared, RAM_LOW);
	ram[0].size = 3ull << 30;
	ram[0].shared = ram_map(ram[0].size);
	file_write(initrd_path, "i", 1);
	boot.initrd = initrd_path;
	load();
	assert_int_equal(params()->hdr.ramdisk_image, 0x80000000u - PAGE_LEN);
}

static void loads_each_kind_of_bzimage(void **state)
{
	static uint8_t bz[KERNEL_BZ_LEN];

	(void)state;
	for (unsigned i = BZ_GZIP; i <= BZ_LZMA; i++) {
		size_t len = kernel_bz_make((enum bz_pack)i, elf, sizeof(elf), bz);

		file_write(kernel_path, bz, len);
		memset(ram[0].shared + 0x1000000, 0, 0x4000);
		load();
		assert_int_equal(img.entry.v, 0x1000010);
		assert_int_equal(ram[0].shared[0x1000fff], 0x11);
		assert_int_equal(params()->hdr.version, 0x20f);
		assert_int_equal(params()->hdr.cmdline_size, 255);
		assert_int_equal(params()->hdr.initrd_addr_max, 0x7fffffff);
	}
}

static void bzimage_limits_command_line_and_initrd(void **state)
{
	static uint8_t bz[KERNEL_BZ_LEN];
	char text[257] = { 0 };
	size_t len = kernel_bz_make(BZ_XZ, elf, sizeof(elf), bz);

	(void)state;
	kernel_le32(bz + 0x22c, 0x1ffffff);
	file_write(kernel_path, bz, len);
	file_write(initrd_path, "i", 1);
	boot.initrd = initrd_path;
	load();
	assert_int_equal(params()->hdr.ramdisk_image, 0x2000000 - PAGE_LEN);
	memset(text, 'x', 256);
	boot.append = text;
	refused(-E2BIG, "command line of 256 bytes, the kernel takes 255");
}

static void accepts_2047_and_refuses_2048_bytes_of_command_line(void **state)
{
	char text[2049] = { 0 };

	(void)state;
	memset(text, 'x', 2047);
	boot.append = text;
	load();
	assert_string_equal((char *)ram[0].shared + BOOT_CMDLINE, text);
	text[2047] = 'x';
	refused(-E2BIG, "command line of 2048 bytes, the kernel takes 2047; shorten it");
}

static void refuses_files_that_are_no_kernel(void **state)
{
	(void)state;
	file_write(kernel_path, "#!/bin/sh\n", 10);
	refused(-ENOEXEC, "neither a bzImage nor an ELF file; give a Linux kernel image");
	file_write(kernel_path, "", 0);
	refused(-ENOEXEC, "neither a bzImage nor an ELF file");
	file_write(kernel_path, elf, 20);
	refused(-ENOEXEC, "ELF header cut short");
	boot.kernel = "/nonexistent/vmlinuz";
	refused(-ENOENT, "/nonexistent/vmlinuz");
}

static void refuses_segments_over_boot_structures(void **state)
{
	(void)state;
	k->ph[1].p_paddr = BOOT_PARAMS;
	refused_elf(-EINVAL, "link the kernel at 1 MiB or above");
	k->ph[1].p_paddr = 0xff000;
	refused_elf(-EINVAL, "link the kernel at 1 MiB or above");
}

static void refuses_segments_outside_ram(void **state)
{
	(void)state;
	k->ph[1].p_paddr = RAM_LOW - 0x1000;
	refused_elf(-ENOSPC, "give the guest more memory");
	k->ph[1].p_paddr = RAM_LOW;
	refused_elf(-ENOSPC, "lies outside RAM, which ends at 0x4000000");
	k->ph[1].p_paddr = 4ull << 30;
	refused_elf(-EINVAL, "ends above 4 GiB");
}

static void refuses_bad_elf_inside_a_good_bzimage(void **state)
{
	static uint8_t bz[KERNEL_BZ_LEN];

	(void)state;
	k->h.e_machine = EM_386;
	file_write(kernel_path, bz, kernel_bz_make(BZ_ZSTD, elf, sizeof(elf), bz));
	refused(-ENOEXEC, "kernel inside the bzImage: not a 64-bit x86 ELF file");
}

static void refuses_initrds_that_do_not_fit(void **state)
{
	auto_fd int fd = open(initrd_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)state;
	boot.initrd = initrd_path;
	refused(-EINVAL, "not a file with something in it");
	assert_int_equal(ftruncate(fd, RAM_LOW - 0x1004000 + 1), 0);
	refused(-ENOSPC, "do not fit between the kernel's end at 0x1003800");
	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	refused(-ENOSPC, "give the guest more memory");
	boot.initrd = dir;
	refused(-EINVAL, "not a file");
	boot.initrd = "/nonexistent/initrd";
	refused(-ENOENT, "/nonexistent/initrd");
}

static void refuses_ram_without_a_first_mib(void **state)
{
	(void)state;
	machine.ram = &ram[1];
	machine.nram = 1;
	refused(-EINVAL, "must begin with 1 MiB at address 0");
}

static void segments_may_share_a_page(void **state)
{
	(void)state;
	k->ph[0].p_memsz = 0x1400;
	k->ph[1].p_paddr = 0x1001400;
	file_write(kernel_path, elf, sizeof(elf));
	load();
	assert_true(listed(0x1000000, 0x3000));
	assert_int_equal(ram[0].shared[0x10013ff], 0);
	assert_int_equal(ram[0].shared[0x1001400], 0x22);
}

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", dir);
	snprintf(initrd_path, sizeof(initrd_path), "%s/initrd", dir);
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	unlink(kernel_path);
	unlink(initrd_path);
	return rmdir(dir);
}

#define boot_test(f) cmocka_unit_test_setup_teardown(f, boot_set, boot_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		boot_test(loads_elf_segments_and_clears_what_follows),
		boot_test(lists_everything_written_once_and_in_order),
		boot_test(page_tables_map_4_gib_with_the_cbit),
		boot_test(gdt_has_code_and_data),
		boot_test(boot_params_describe_memory_and_command_line),
		boot_test(initrd_lies_high_and_whole),
		boot_test(initrd_stays_below_2_gib),
		boot_test(loads_each_kind_of_bzimage),
		boot_test(bzimage_limits_command_line_and_initrd),
		boot_test(accepts_2047_and_refuses_2048_bytes_of_command_line),
		boot_test(refuses_files_that_are_no_kernel),
		boot_test(refuses_segments_over_boot_structures),
		boot_test(refuses_segments_outside_ram),
		boot_test(refuses_bad_elf_inside_a_good_bzimage),
		boot_test(refuses_initrds_that_do_not_fit),
		boot_test(refuses_ram_without_a_first_mib),
		boot_test(segments_may_share_a_page),
	};

	return cmocka_run_group_tests_name("vmm_boot", tests, folder_make, folder_remove);
}
