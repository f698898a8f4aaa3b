/* SPDX-License-Identifier: Apache-2.0 */

/* The launch digest of a guest that "sevmig run" starts: the loader that runs there runs here, on
 * memory that no guest ever sees, and what it would have had encrypted is hashed in that order. */

#include "cli/owner.h"

#include <errno.h>

#include "crypto/hash.h"
#include "pc/acpi.h"
#include "vmm/boot.h"
#include "vmm/impl.h"

#define CBIT_MIN 32u
#define CBIT_MAX 51u

/* As vm_boot() encrypts it: ascending, the ACPI tables between the boot structures and the kernel.
 */
static int image_hash(const struct vmm_memory *m, const struct boot_image *img,
		      struct crypto_hash *h, struct err *e)
{
	bool tables = false;
	int r = 0;

	for (size_t i = 0; i < img->nrange && r == 0; i++) {
		if (!tables && img->range[i].at.v > PC_ACPI_BASE) {
			tables = true;
			r = crypto_hash_add(h, vmm_memory_at(m, gpa(PC_ACPI_BASE), PC_ACPI_LEN),
					    PC_ACPI_LEN, e);
		}
		if (r == 0)
			r = crypto_hash_add(h, img->range[i].shared, img->range[i].len, e);
	}
	return r;
}

static int memory_digest(const struct cli_owner_expect *x, const struct vmm_memory *m,
			 uint8_t out[SHA256_LEN], struct err *e)
{
	const struct vm_boot boot = { .kernel = x->kernel,
				      .initrd = x->initrd,
				      .append = x->append };
	const struct boot_machine machine = { m->ram, m->nram, x->cbit, gpa(PC_ACPI_BASE) };
	auto_hash struct crypto_hash *h = NULL;
	struct boot_image img;
	int r = crypto_hash_new(&h, e);

	pc_acpi_write(vmm_memory_at(m, gpa(PC_ACPI_BASE), PC_ACPI_LEN),
		      &(struct pc_machine){ .cpus = x->vcpus });
	if (r == 0)
		r = vmm_boot_load(&boot, &machine, &img, e);
	if (r == 0)
		r = image_hash(m, &img, h, e);
	return r < 0 ? r : crypto_hash_get(h, out, e);
}

int cli_owner_boot_digest(const struct cli_owner_expect *x, uint8_t out[SHA256_LEN], struct err *e)
{
	struct vmm_memory m;
	int r;

	if (x->vcpus == 0 || x->vcpus > VMM_VCPUS_MAX)
		return err_set(e, -EINVAL, "%u vCPUs: 1 to %u", x->vcpus, VMM_VCPUS_MAX);
	if (x->cbit < CBIT_MIN || x->cbit > CBIT_MAX)
		return err_set(e, -EINVAL, "C-bit %u: %u to %u", x->cbit, CBIT_MIN, CBIT_MAX);
	r = vmm_memory_map(&m, x->memory, 0, e);
	if (r == 0)
		r = memory_digest(x, &m, out, e);
	vmm_memory_unmap(&m);
	return r;
}
