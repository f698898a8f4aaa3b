/* SPDX-License-Identifier: Apache-2.0 */

/* The launch digest to expect, from the same files and numbers the guest is started with. */

#include "cli/owner.h"

#include <errno.h>
#include <string.h>

#include "abi/psp.h"
#include "base/buf.h"
#include "base/fd.h"
#include "owner/hashes.h"
#include "owner/launch.h"

#define FIRMWARE_MAX (64u << 20)
#define BOOT_FILE_MAX (1u << 30)

bool cli_owner_expect_given(const struct cli_owner_expect *x)
{
	return x->digest || x->firmware || x->sevmig_guest;
}

static const char *vcpus_usage(const struct cli_owner_expect *x, uint32_t policy)
{
	if (!(policy & PSP_POLICY_ES))
		return NULL;
	if (!x->cpu_type && !x->cpu_signature)
		return "an SEV-ES guest's registers are measured: --cpu-type or --cpu-signature, "
		       "and --vcpus, are needed";
	return x->vcpus == 0 ? "--vcpus 0: a guest needs one at least" : NULL;
}

static const char *guest_usage(const struct cli_owner_expect *x, uint32_t policy)
{
	if (!x->kernel)
		return "--sevmig-guest needs the --kernel";
	if (!x->cbit && !x->firmware)
		return "--sevmig-guest needs the --cbit of the guest's page tables, or a "
		       "--firmware";
	if (x->kernel_hashes)
		return "--kernel-hashes is for QEMU's guests";
	if (x->init2)
		return "--init2 is for QEMU's guests";
	return vcpus_usage(x, policy);
}

static const char *firmware_usage(const struct cli_owner_expect *x, uint32_t policy)
{
	if (x->kernel_hashes && !x->kernel)
		return "--kernel-hashes needs the --kernel";
	if (!x->kernel_hashes && (x->kernel || x->initrd || x->append))
		return "without --kernel-hashes neither kernel, initrd nor command line are "
		       "measured";
	return vcpus_usage(x, policy);
}

const char *cli_owner_expect_usage(const struct cli_owner_expect *x, uint32_t policy)
{
	if (x->digest && (x->firmware || x->sevmig_guest))
		return "--digest says it already: neither --firmware nor --sevmig-guest can be "
		       "given";
	if (x->sevmig_guest)
		return guest_usage(x, policy);
	if (x->firmware)
		return firmware_usage(x, policy);
	return x->kernel || x->initrd || x->append || x->kernel_hashes
		       ? "--kernel, --initrd and --append need --firmware or --sevmig-guest"
		       : NULL;
}

static int hashes_make(const struct cli_owner_expect *x, uint8_t out[OWNER_HASHES_LEN],
		       struct err *e)
{
	auto_buf struct buf kernel = { 0 };
	auto_buf struct buf initrd = { 0 };
	struct owner_boot boot = { .append = x->append };
	int r = fd_file_read(x->kernel, BOOT_FILE_MAX, &kernel, e);

	if (r == 0 && x->initrd)
		r = fd_file_read(x->initrd, BOOT_FILE_MAX, &initrd, e);
	if (r < 0)
		return r;
	boot.kernel = kernel.p;
	boot.kernel_len = kernel.len;
	boot.initrd = initrd.p;
	boot.initrd_len = initrd.len;
	return owner_hashes_make(&boot, out, e);
}

static int firmware_digest(const struct cli_owner_expect *x, uint32_t policy, uint32_t signature,
			   uint8_t out[SHA256_LEN], struct err *e)
{
	auto_buf struct buf firmware = { 0 };
	uint8_t hashes[OWNER_HASHES_LEN];
	struct owner_launch l = { .signature = signature, .init2 = x->init2 };
	int r = fd_file_read(x->firmware, FIRMWARE_MAX, &firmware, e);

	if (r == 0 && x->kernel_hashes)
		r = hashes_make(x, hashes, e);
	if (r < 0)
		return r;
	l.firmware = firmware.p;
	l.firmware_len = firmware.len;
	l.hashes = x->kernel_hashes ? hashes : NULL;
	l.vcpus = policy & PSP_POLICY_ES ? x->vcpus : 0;
	return owner_launch_digest(&l, out, e);
}

int cli_owner_expect_digest(const struct cli_owner_expect *x, uint32_t policy,
			    uint8_t out[SHA256_LEN], struct err *e)
{
	uint32_t signature = x->cpu_signature;
	int r = 0;

	if (x->cpu_type)
		r = owner_cpu_signature(x->cpu_type, &signature, e);
	if (r == 0 && x->digest)
		r = cli_owner_digest_get(x->digest, out, e);
	else if (r == 0 && x->sevmig_guest)
		r = cli_owner_boot_digest(x, policy, signature, out, e);
	else if (r == 0)
		r = firmware_digest(x, policy, signature, out, e);
	return r < 0 ? err_wrap(e, r, "digest") : 0;
}
