/* SPDX-License-Identifier: Apache-2.0 */

/* The launch digest of a guest that "sevmig run" starts: the loader that runs there runs here, on
 * memory that no guest ever sees, and what it would have had encrypted is hashed in that order;
 * with a firmware that is its image and hashes. */

#include "cli/owner.h"

#include <errno.h>

#include "abi/psp.h"
#include "cli/firmware.h"
#include "crypto/hash.h"
#include "owner/launch.h"
#include "sev/vmsa.h"
#include "vmm/direct.h"

#define CBIT_MIN 32u
#define CBIT_MAX 51u

struct boot_sum {
	const struct cli_owner_expect *x;
	uint32_t policy, signature;
	struct crypto_hash *h;
};

static int range_hash(void *ctx, uint8_t *shared, size_t len, struct err *e)
{
	return crypto_hash_add(ctx, shared, len, e);
}

/* As KVM_SEV_ES_INIT's vCPUs are after a reset, but for what vm_boot() sets. */
static int vcpus_hash(const struct boot_sum *b, const struct boot_image *img, struct err *e)
{
	auto_mem struct sev_vmsa_regs *regs = calloc(1, sizeof(*regs));
	uint8_t page[SEV_VMSA_LEN];
	int r = regs ? 0 : err_set(e, -ENOMEM, "no memory for registers");

	for (unsigned i = 0; r == 0 && i < b->x->vcpus; i++) {
		sev_vmsa_reset(regs);
		regs->regs.rdx = b->signature;
		if (i == 0)
			vmm_direct_registers(img, b->x->cbit, &regs->regs, &regs->sregs);
		sev_vmsa_build(regs, page);
		r = crypto_hash_add(b->h, page, sizeof(page), e);
	}
	return r;
}

static int memory_hash(const struct boot_sum *b, const struct vmm_memory *m, struct err *e)
{
	const struct vm_boot boot = { .kernel = b->x->kernel,
				      .initrd = b->x->initrd,
				      .append = b->x->append };
	struct boot_image img;
	int r = vmm_direct_load(m, &boot, b->x->vcpus, b->x->cbit, &img, e);

	if (r == 0)
		r = vmm_direct_each(m, &img, range_hash, b->h, e);
	if (r == 0 && (b->policy & PSP_POLICY_ES))
		r = vcpus_hash(b, &img, e);
	return r;
}

static int direct_digest(const struct cli_owner_expect *x, uint32_t policy, uint32_t signature,
			 uint8_t out[SHA256_LEN], struct err *e)
{
	auto_hash struct crypto_hash *h = NULL;
	struct boot_sum b = { x, policy, signature, NULL };
	struct vmm_memory m;
	int r;

	if (x->cbit < CBIT_MIN || x->cbit > CBIT_MAX)
		return err_set(e, -EINVAL, "C-bit %u: %u to %u", x->cbit, CBIT_MIN, CBIT_MAX);
	r = crypto_hash_new(&h, e);
	if (r < 0)
		return r;
	b.h = h;
	r = vmm_memory_map(&m, x->memory, 0, e);
	if (r == 0)
		r = memory_hash(&b, &m, e);
	vmm_memory_unmap(&m);
	return r < 0 ? r : crypto_hash_get(h, out, e);
}

static int firmware_digest(const struct cli_owner_expect *x, uint32_t policy, uint32_t signature,
			   uint8_t out[SHA256_LEN], struct err *e)
{
	struct cli_firmware fw = { 0 };
	struct owner_launch l = { .signature = signature,
				  .vcpus = policy & PSP_POLICY_ES ? x->vcpus : 0 };
	int r = cli_firmware_image_read(&fw, x->firmware, e);

	if (r == 0)
		r = cli_firmware_files_read(&fw, x->kernel, x->initrd, x->append, e);
	l.firmware = fw.image.p;
	l.firmware_len = fw.image.len;
	l.hashes = fw.hashes;
	if (r == 0)
		r = owner_launch_digest(&l, out, e);
	cli_firmware_fini(&fw);
	return r;
}

int cli_owner_boot_digest(const struct cli_owner_expect *x, uint32_t policy, uint32_t signature,
			  uint8_t out[SHA256_LEN], struct err *e)
{
	if (x->vcpus == 0 || x->vcpus > VMM_VCPUS_MAX)
		return err_set(e, -EINVAL, "%u vCPUs: 1 to %u", x->vcpus, VMM_VCPUS_MAX);
	if (x->firmware)
		return firmware_digest(x, policy, signature, out, e);
	return direct_digest(x, policy, signature, out, e);
}
