/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/handler_image.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "abi/handler.h"
#include "base/auto.h"
#include "base/fd.h"
#include "base/rdwr.h"

#define IMAGE_MAX (HANDLER_IMAGE_END - HANDLER_IMAGE)
#define MEASURED_END (HANDLER_CONFIG + HANDLER_PAGE)
#define LEN_2M 0x200000ull

/* Page table bits. Accessed and dirty are set, so that the CPU never writes to the tables. */
#define PTE_READ 0x25ull /* present, user, accessed */
#define PTE_WRITE 0x42ull
#define PTE_LARGE 0x80ull
#define PTE_NX (1ull << 63)
#define PTE_TABLE (PTE_READ | PTE_WRITE)
#define PTE_DATA (PTE_READ | PTE_WRITE | PTE_NX)

/* Pages of HANDLER_TABLES. */
enum { T_PML4, T_PDPT, T_PD0, T_PD1, T_IMAGE, T_COUNT };

_Static_assert(T_COUNT *HANDLER_PAGE <= HANDLER_TABLES_LEN && HANDLER_RAM_MAX == 2ull << 30,
	       "see doc/HANDLER.md");

struct image {
	uint64_t text_end, rodata_end;
};

static int image_get(const uint8_t *p, size_t len, struct image *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	uint64_t magic = 0, version = 0;

	rd_skip(&in, HANDLER_I_MAGIC);
	rd_le64(&in, &magic);
	rd_le64(&in, &version);
	rd_le64(&in, &out->text_end);
	rd_le64(&in, &out->rodata_end);
	if (!rd_ok(&in) || magic != HANDLER_IMAGE_MAGIC)
		return err_set(e, -ENOEXEC, "not a migration handler's image");
	if (version != HANDLER_VERSION)
		return err_set(e, -ENOEXEC, "handler of version %" PRIu64 ", this is for %u",
			       version, HANDLER_VERSION);
	if (len > IMAGE_MAX || out->text_end % PAGE_LEN || out->rodata_end % PAGE_LEN ||
	    out->text_end <= HANDLER_IMAGE || out->rodata_end < out->text_end ||
	    out->rodata_end > HANDLER_IMAGE_END)
		return err_set(e, -ENOEXEC, "handler's image: its parts do not fit");
	return 0;
}

/* The 2 MiB that hold the image, page by page. */
static uint64_t image_pte(const struct image *img, uint64_t at, uint64_t c)
{
	if (at < img->text_end)
		return at | PTE_READ | c;
	if (at < img->rodata_end)
		return at | PTE_READ | PTE_NX | c;
	if (at < HANDLER_IMAGE_END)
		return at | PTE_DATA | c;
	if (at == HANDLER_PAGE0)
		return PTE_DATA | c;
	if (at < HANDLER_MAILBOX)
		return at | PTE_READ | PTE_NX | c;
	return at | PTE_DATA;
}

static void tables_write(const struct image *img, unsigned cbit, uint8_t *to)
{
	uint64_t t[T_COUNT][512] = { 0 }, c = 1ull << cbit;

	t[T_PML4][0] = (HANDLER_TABLES + T_PDPT * PAGE_LEN) | PTE_TABLE | c;
	for (unsigned i = 0; i < 2; i++)
		t[T_PDPT][i] = (HANDLER_TABLES + (T_PD0 + i) * PAGE_LEN) | PTE_TABLE | c;
	for (unsigned i = 0; i < 2 * 512; i++) {
		uint64_t at = i * LEN_2M;
		bool shared = at >= HANDLER_WINDOW && at < HANDLER_END;

		t[T_PD0 + i / 512][i % 512] = at | PTE_DATA | PTE_LARGE | (shared ? 0 : c);
	}
	t[T_PD0][HANDLER_BASE / LEN_2M] = (HANDLER_TABLES + T_IMAGE * PAGE_LEN) | PTE_TABLE | c;
	for (unsigned i = 0; i < 512; i++)
		t[T_IMAGE][i] = image_pte(img, HANDLER_BASE + i * PAGE_LEN, c);
	memcpy(to, t, sizeof(t));
}

static int config_write(const struct boot_machine *m, uint8_t *to, struct err *e)
{
	struct wr out = wr_of(to, PAGE_LEN);
	const struct mig_ram *last = &m->ram[m->nram - 1];

	if (m->nram > HANDLER_RAM_RANGES || last->at.v + last->size > HANDLER_RAM_MAX)
		return err_set(e, -EINVAL,
			       "guest memory ends at %" PRIu64 " MiB: a handler serves up to %llu "
			       "MiB",
			       (last->at.v + last->size) >> 20, HANDLER_RAM_MAX >> 20);
	wr_le32(&out, HANDLER_VERSION);
	wr_le32(&out, m->cbit);
	wr_le64(&out, m->nram);
	for (size_t i = 0; i < m->nram; i++) {
		wr_le64(&out, m->ram[i].at.v);
		wr_le64(&out, m->ram[i].at.v + m->ram[i].size);
	}
	return 0;
}

static int image_load(const char *path, struct image *out, uint8_t *to, struct err *e)
{
	auto_buf struct buf file = { 0 };
	int r = fd_file_read(path, IMAGE_MAX, &file, e);

	if (!r)
		r = image_get(file.p, file.len, out, e);
	if (!r)
		memcpy(to, file.p, file.len);
	return r;
}

int vmm_handler_load(const char *path, const struct boot_machine *m, struct boot_range *out,
		     struct err *e)
{
	const struct mig_ram *low = &m->ram[0];
	struct image img;
	uint8_t *p;
	int r;

	if (!m->nram || low->at.v > HANDLER_BASE || low->at.v + low->size <= HANDLER_END)
		return err_set(e, -ENOSPC, "handler: the guest needs more than %llu MiB of memory",
			       HANDLER_END >> 20);
	p = low->shared + (HANDLER_BASE - low->at.v);
	r = image_load(path, &img, p, e);
	if (!r)
		r = config_write(m, p + (HANDLER_CONFIG - HANDLER_BASE), e);
	if (r)
		return err_wrap(e, r, "handler %s", path);
	tables_write(&img, m->cbit, p + (HANDLER_TABLES - HANDLER_BASE));
	*out = (struct boot_range){ gpa(HANDLER_BASE), MEASURED_END - HANDLER_BASE, p };
	return 0;
}
