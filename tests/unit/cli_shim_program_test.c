/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "cli/shim_program.h"

#define GLIBC "/lib64/ld-linux-x86-64.so.2"
#define LOADER_AT 512u
#define NOTE_AT 1024u

/* As little of a program as there can be: headers, a loader's name, a note. */
struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	uint8_t rest[2048];
};

static char dir[64], path[128];

static struct image image_new(const char *loader)
{
	struct image im = { 0 };

	memcpy(im.eh.e_ident, ELFMAG, SELFMAG);
	im.eh.e_ident[EI_CLASS] = ELFCLASS64;
	im.eh.e_machine = EM_X86_64;
	im.eh.e_phoff = offsetof(struct image, ph);
	im.eh.e_phentsize = sizeof(Elf64_Phdr);
	im.eh.e_phnum = 1;
	im.ph[0].p_type = PT_LOAD;
	if (loader) {
		im.ph[0] = (Elf64_Phdr){ .p_type = PT_INTERP,
					 .p_offset = LOADER_AT,
					 .p_filesz = strlen(loader) + 1 };
		strncpy((char *)&im + LOADER_AT, loader, 64);
	}
	return im;
}

static void put(const void *p, size_t len, mode_t mode)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, p, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void checks_as(const struct image *im, int expected, const char *words)
{
	struct err e = { 0 };

	put(im, sizeof(*im), 0755);
	assert_int_equal(shim_program_check(path, &e), expected);
	if (expected)
		assert_non_null(strstr(e.msg, words));
}

static void takes_a_dynamic_program(void **state)
{
	struct image im = image_new(GLIBC);

	(void)state;
	checks_as(&im, 0, "");
}

static void refuses_what_cannot_preload(void **state)
{
	struct image im = image_new(NULL);

	(void)state;
	checks_as(&im, -ENOEXEC, "statically linked");
	im = image_new("/lib/ld-musl-x86_64.so.1");
	checks_as(&im, -ENOEXEC, "ld-musl");
	im = image_new(GLIBC);
	im.eh.e_ident[EI_CLASS] = ELFCLASS32;
	checks_as(&im, -ENOEXEC, "64-bit");
	im = image_new(GLIBC);
	im.eh.e_machine = EM_AARCH64;
	checks_as(&im, -ENOEXEC, "64-bit");
	im = image_new(GLIBC);
	im.eh.e_phnum = 2;
	im.ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 16 };
	memcpy((char *)&im + NOTE_AT + 12, "Go\0", 4);
	checks_as(&im, -ENOEXEC, "Go program");
}

static void refuses_broken_headers(void **state)
{
	struct image im = image_new(GLIBC);

	(void)state;
	im.eh.e_phoff = UINT64_MAX - 8;
	checks_as(&im, -ENOEXEC, "program headers");
	im = image_new(GLIBC);
	im.eh.e_phnum = UINT16_MAX;
	checks_as(&im, -ENOEXEC, "program headers");
	im = image_new(GLIBC);
	im.ph[0].p_filesz = UINT64_MAX;
	checks_as(&im, -ENOEXEC, "name of its loader");
	im = image_new(GLIBC);
	im.ph[0].p_offset = 1u << 30;
	checks_as(&im, -ENOEXEC, "name of its loader");
	im = image_new(GLIBC);
	memset((char *)&im + LOADER_AT, 'x', 255); /* no end, no slash */
	im.ph[0].p_filesz = 255;
	checks_as(&im, -ENOEXEC, "loaded by xxx");
}

static void refuses_every_cut_short_file(void **state)
{
	struct image im = image_new(GLIBC);

	(void)state;
	for (size_t len = 0; len < LOADER_AT + sizeof(GLIBC); len++) {
		struct err e = { 0 };

		put(&im, len, 0755);
		assert_int_equal(shim_program_check(path, &e), -ENOEXEC);
	}
}

static void follows_scripts_to_their_interpreter(void **state)
{
	char script[512], found[SHIM_PATH_LEN];
	struct err e = { 0 };

	(void)state;
	snprintf(script, sizeof(script), "#! /bin/sh -e\necho\n");
	put(script, strlen(script), 0755);
	assert_int_equal(shim_program_find(path, found, &e), 0);
	assert_string_equal(found, "/bin/sh");
	/* One that names itself ends, too. */
	snprintf(script, sizeof(script), "#!%s", path);
	put(script, strlen(script), 0755);
	assert_int_equal(shim_program_find(path, found, &e), 0);
}

static void finds_what_execvp_would(void **state)
{
	struct image im = image_new(GLIBC);
	char found[SHIM_PATH_LEN], dirs[256];
	struct err e = { 0 };

	(void)state;
	put(&im, sizeof(im), 0755);
	snprintf(dirs, sizeof(dirs), "/nowhere:%s:/bin", dir);
	setenv("PATH", dirs, 1);
	assert_int_equal(shim_program_find("program", found, &e), 0);
	assert_string_equal(found, path);
	put(&im, sizeof(im), 0644);
	assert_int_equal(shim_program_find("program", found, &e), -ENOENT);
	assert_int_equal(shim_program_find(path, found, &e), -EACCES);
	assert_int_equal(shim_program_find(dir, found, &e), -EACCES);
}

static int dir_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/shim_program_test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/program", dir);
	return 0;
}

static int dir_remove(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_dynamic_program),
		cmocka_unit_test(refuses_what_cannot_preload),
		cmocka_unit_test(refuses_broken_headers),
		cmocka_unit_test(refuses_every_cut_short_file),
		cmocka_unit_test(follows_scripts_to_their_interpreter),
		cmocka_unit_test(finds_what_execvp_would),
	};

	return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
