/* SPDX-License-Identifier: Apache-2.0 */

/* Programs with system calls of their own: ioctls as a shim passes them on. Memory in place, INIT
 * in its three forms, SEV-ES, numbers of /dev/sev. */

#include "tests/unit/sev_client.h"

/* --- the calls ------------------------------------------------------------------------------- */

static void the_probe_is_a_null_argument(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, 0, false, false);
	assert_int_equal(sev_soft_vm_ioctl(c.vm, KVM_MEMORY_ENCRYPT_OP, 0), 0);
	assert_int_equal(sev_soft_vm_ioctl(c.vm, KVM_MEMORY_ENCRYPT_OP, UNMAPPED), -EFAULT);
	assert_int_equal(sev_soft_vm_ioctl(c.vm, KVM_MEMORY_ENCRYPT_REG_REGION, UNMAPPED), -EFAULT);
	assert_int_equal(sev_soft_vm_ioctl(c.vm, KVM_GET_CLOCK, 0), -ENOTTY);
	sev_vm_free(c.vm);
}

static int dev(uint32_t cmd, void *params, bool writable, uint32_t *error)
{
	struct sev_issue_cmd c = { .cmd = cmd, .data = (uintptr_t)params, .error = UNTOUCHED };
	int r = sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD, (uintptr_t)&c, writable);

	*error = c.error;
	return r;
}

static void expect_dev(uint32_t cmd, void *params, bool writable, int r, uint32_t error)
{
	uint32_t status;
	int got = dev(cmd, params, writable, &status);

	if (got != r || status != error)
		fail_msg("cmd %u: %d, status %#x; expected %d, %#x", cmd, got, status, r, error);
}

static void readers_of_dev_sev_may_read(void **state)
{
	struct sev_user_data_pdh_cert_export pdh = { 0 };
	struct sev_user_data_pek_csr csr = { 0 };
	struct sev_user_data_pek_cert_import import = { 0 };
	struct sev_user_data_get_id2 id = { 0 };
	struct sev_user_data_status st;

	(void)state;
	expect_dev(SEV_FACTORY_RESET, NULL, false, -EPERM, UNTOUCHED);
	expect_dev(SEV_PEK_GEN, NULL, false, -EPERM, UNTOUCHED);
	expect_dev(SEV_PDH_GEN, NULL, false, -EPERM, UNTOUCHED);
	expect_dev(SEV_PEK_CSR, &csr, false, -EPERM, UNTOUCHED);
	expect_dev(SEV_PEK_CERT_IMPORT, &import, false, -EPERM, UNTOUCHED);
	expect_dev(SEV_PLATFORM_STATUS, &st, false, 0, 0);
	expect_dev(SEV_GET_ID2, &id, false, -EIO, 4);
	expect_dev(SEV_PDH_CERT_EXPORT, &pdh, false, -EIO, 4); /* in INIT */
	expect_dev(SEV_FACTORY_RESET, NULL, true, 0, 0);
	expect_dev(SEV_PDH_CERT_EXPORT, &pdh, false, -EPERM, UNTOUCHED); /* would need INIT */
	expect_dev(SEV_PDH_CERT_EXPORT, &pdh, true, -EIO, 4);
}

static void dev_sev_knows_one_request(void **state)
{
	struct sev_issue_cmd c = { .cmd = SEV_PLATFORM_STATUS };

	(void)state;
	assert_int_equal(sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD + 1, (uintptr_t)&c, true),
			 -EINVAL);
	assert_int_equal(sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD, UNMAPPED, true), -EFAULT);
	assert_int_equal(sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD, 0, true), -EFAULT);
}

static void capabilities_are_those_of_a_host_with_sev(void **state)
{
	uint32_t r[4];

	(void)state;
	assert_int_equal(sev_soft_capability(KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, 0), 1);
	assert_int_equal(sev_soft_capability(KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, 0), 1);
	assert_int_equal(sev_soft_capability(SEV_KVM_CAP_VM_TYPES, 0), 0xd);
	assert_int_equal(sev_soft_capability(SEV_KVM_CAP_VM_TYPES, 3), 0xf);
	assert_int_equal(sev_soft_capability(KVM_CAP_EXIT_HYPERCALL, 0x1000), 0x1000);
	assert_int_equal(sev_soft_capability(KVM_CAP_IRQCHIP, -1), -1);
	assert_int_equal(SEV_SOFT_VMSA_FEATURES, 0);
	sev_soft_cpuid(47, r);
	assert_int_equal(r[0], 0xa);
	assert_int_equal(r[1], 47 | 1 << 6);
	assert_int_equal(r[2], 509);
	assert_int_equal(r[3], 100);
}

/* --- INIT ------------------------------------------------------------------------------------ */

static void init2(struct client *c, uint64_t features, uint32_t flags, uint16_t ghcb, int r)
{
	const struct sev_kvm_init2 p = { features, flags, ghcb, 0, { 0 } };

	expect(c, SEV_KVM_INIT2, &p, r, UNTOUCHED + (r ? 0 : -UNTOUCHED));
}

static void init2_is_for_vms_of_sev_types(void **state)
{
	struct client c;

	(void)state;
	for (unsigned type = 0; type < 5; type++) {
		bool ours = type == SEV_VM_TYPE_SEV || type == SEV_VM_TYPE_ES;

		client_open(&c, type, false, false);
		assert_int_equal(sev_soft_vm_state(c.vm).no_run, ours);
		if (type)
			expect(&c, KVM_SEV_INIT, NULL, -EINVAL, UNTOUCHED);
		if (type)
			expect(&c, KVM_SEV_ES_INIT, NULL, -EINVAL, UNTOUCHED);
		init2(&c, 0, 0, 0, ours ? 0 : -EINVAL);
		assert_int_equal(sev_soft_vm_state(c.vm).es, type == SEV_VM_TYPE_ES);
		assert_false(sev_soft_vm_state(c.vm).no_run);
		init2(&c, 0, 0, 0, -EINVAL); /* once */
		sev_vm_free(c.vm);
	}
}

static void init2_refuses_every_flag_and_feature(void **state)
{
	struct client c, es;

	(void)state;
	client_open(&c, SEV_VM_TYPE_SEV, false, false);
	client_open(&es, SEV_VM_TYPE_ES, false, false);
	for (unsigned i = 0; i < 32; i++)
		init2(&es, 0, 1u << i, 0, -EINVAL);
	for (unsigned i = 0; i < 64; i++) {
		init2(&c, 1ull << i, 0, 0, -EINVAL);
		init2(&es, 1ull << i, 0, 0, -EINVAL);
	}
	init2(&c, 0, 0, 1, -EINVAL); /* GHCB is SEV-ES's */
	init2(&es, 0, 0, 3, -EINVAL);
	expect(&c, SEV_KVM_INIT2, (void *)(uintptr_t)UNMAPPED, -EFAULT, UNTOUCHED);
	es.vcpus = 1;
	init2(&es, 0, 0, 2, -EINVAL);
	es.vcpus = 0;
	init2(&es, 0, 0, 2, 0);
	sev_vm_free(c.vm);
	sev_vm_free(es.vm);
}

static void init_comes_before_vcpus_and_once(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, 0, false, false);
	c.vcpus = 1;
	expect(&c, KVM_SEV_INIT, NULL, -EINVAL, UNTOUCHED);
	expect(&c, KVM_SEV_ES_INIT, NULL, -EINVAL, UNTOUCHED);
	c.vcpus = 0;
	c.coming = true;
	expect(&c, KVM_SEV_INIT, NULL, -EINVAL, UNTOUCHED);
	c.coming = false;
	expect(&c, KVM_SEV_ES_INIT, NULL, 0, 0);
	expect(&c, KVM_SEV_ES_INIT, NULL, -EINVAL, UNTOUCHED);
	expect(&c, KVM_SEV_INIT, NULL, -EINVAL, UNTOUCHED);
	sev_vm_free(c.vm);
}

static void asids_run_out_with_ebusy_and_come_back(void **state)
{
	static struct client c[100];
	unsigned n = 0;
	uint32_t error;

	(void)state;
	do {
		client_open(&c[n], 0, false, false);
	} while (op(&c[n], KVM_SEV_ES_INIT, NULL, &error) == 0 && ++n < 100);
	assert_int_equal(n, 99); /* ASIDs 1 to 99 are for SEV-ES */
	expect(&c[n], KVM_SEV_ES_INIT, NULL, -EBUSY, UNTOUCHED);
	sev_vm_free(c[0].vm);
	expect(&c[n], KVM_SEV_ES_INIT, NULL, 0, 0);
	for (unsigned i = 1; i <= n; i++)
		sev_vm_free(c[i].vm);
}

/* --- numbers of /dev/sev ---------------------------------------------------------------------- */

static void a_command_needs_its_dev_sev_open(void **state)
{
	struct kvm_sev_launch_start p = { .dh_uaddr = UNMAPPED, .dh_len = 1 };
	struct kvm_sev_guest_status st;
	struct client c;

	(void)state;
	client_open(&c, 0, false, false);
	c.sev_fd = SEV_FD + 1;
	expect(&c, KVM_SEV_INIT, NULL, 0, 0); /* does not ask */
	expect(&c, KVM_SEV_LAUNCH_START, &p, -EFAULT, UNTOUCHED);
	p.dh_uaddr = 0;
	expect(&c, KVM_SEV_LAUNCH_START, &p, -EBADF, UNTOUCHED);
	c.sev_fd = SEV_FD;
	expect(&c, KVM_SEV_LAUNCH_START, &p, 0, 0);
	c.sev_fd = SEV_FD + 1; /* closed meanwhile */
	expect(&c, KVM_SEV_GUEST_STATUS, &st, -EBADF, UNTOUCHED);
	expect(&c, KVM_SEV_LAUNCH_FINISH, NULL, -EBADF, UNTOUCHED);
	c.sev_fd = SEV_FD;
	assert_int_equal(state_of(&c), 1);
	sev_vm_free(c.vm);
}

static void a_start_that_cannot_be_told_has_not_happened(void **state)
{
	struct kvm_sev_launch_start *p =
		mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_sev_guest_status st;
	struct client c;

	(void)state;
	client_open(&c, 0, false, false);
	expect(&c, KVM_SEV_INIT, NULL, 0, 0);
	assert_int_equal(mprotect(p, PAGE_LEN, PROT_READ), 0);
	expect(&c, KVM_SEV_LAUNCH_START, p, -EFAULT, 0);
	c.sev_fd = 0; /* nothing was remembered */
	expect(&c, KVM_SEV_GUEST_STATUS, &st, -EIO, 0x10);
	c.sev_fd = SEV_FD;
	launch_start(&c, 0); /* the ASID is free */
	munmap(p, PAGE_LEN);
	sev_vm_free(c.vm);
}

/* --- memory in place ---------------------------------------------------------------------------
 */

static void launch_measures_memory_and_leaves_it(void **state)
{
	struct kvm_sev_launch_update_data p = { (uintptr_t)ram, 2 * PAGE_LEN };
	uint8_t report[208], digest[32];
	struct kvm_sev_attestation_report a = { .uaddr = (uintptr_t)report, .len = sizeof(report) };
	uint8_t out[SEV_MEASURE_LEN];
	struct kvm_sev_launch_measure m = { (uintptr_t)out, sizeof(out) };
	struct client c;
	struct err e = { 0 };

	(void)state;
	client_open(&c, 0, false, false);
	expect(&c, KVM_SEV_INIT, NULL, 0, 0);
	launch_start(&c, 0);
	memset(ram, 'x', 2 * PAGE_LEN);
	expect(&c, KVM_SEV_LAUNCH_UPDATE_DATA, &p, 0, 0);
	assert_int_equal(ram[0], 'x');
	assert_int_equal(crypto_sha256(ram, 2 * PAGE_LEN, digest, &e), 0);
	p.uaddr = UNMAPPED;
	expect(&c, KVM_SEV_LAUNCH_UPDATE_DATA, &p, -ENOMEM, UNTOUCHED);
	expect(&c, KVM_SEV_LAUNCH_MEASURE, &m, 0, 0);
	expect(&c, KVM_SEV_GET_ATTESTATION_REPORT, &a, 0, 0);
	assert_memory_equal(report + 0x10, digest, sizeof(digest));
	sev_vm_free(c.vm);
}

static void pages_that_are_read_only_cannot_be_pinned(void **state)
{
	uint8_t *p = mmap(NULL, PAGE_LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_sev_launch_update_data u = { (uintptr_t)p, 16 };
	struct kvm_enc_region r = { (uintptr_t)p, PAGE_LEN };
	struct client c;

	(void)state;
	client_open(&c, 0, false, false);
	expect(&c, KVM_SEV_INIT, NULL, 0, 0);
	launch_start(&c, 0);
	expect(&c, KVM_SEV_LAUNCH_UPDATE_DATA, &u, -ENOMEM, UNTOUCHED);
	assert_int_equal(sev_soft_vm_ioctl(c.vm, KVM_MEMORY_ENCRYPT_REG_REGION, (uintptr_t)&r),
			 -ENOMEM);
	munmap(p, PAGE_LEN);
	sev_vm_free(c.vm);
}

static void send_and_receive_carry_plain_text(void **state)
{
	uint8_t hdr[SEV_PACKET_HDR_LEN], packet[PAGE_LEN], session[SEV_SESSION_LEN];
	struct sev_peer_certs certs;
	struct kvm_sev_send_start s = { 0 };
	struct kvm_sev_receive_start r = { 0 };
	struct kvm_sev_send_update_data u = { (uintptr_t)hdr, sizeof(hdr),       (uintptr_t)ram,
					      PAGE_LEN,       (uintptr_t)packet, sizeof(packet) };
	struct kvm_sev_receive_update_data v = {
		(uintptr_t)hdr, sizeof(hdr),       (uintptr_t)ram + PAGE_LEN,
		PAGE_LEN,       (uintptr_t)packet, sizeof(packet)
	};
	struct client a, b;
	struct err e = { 0 };

	(void)state;
	client_open(&a, 0, false, false);
	client_open(&b, 0, false, false);
	memset(ram, 's', PAGE_LEN);
	memset(ram + PAGE_LEN, 0, PAGE_LEN);
	launch(&a, 0);
	assert_int_equal(sev_certs_export(platform, &certs, &e), 0);
	s.pdh_cert_uaddr = r.pdh_uaddr = (uintptr_t)certs.pdh;
	s.pdh_cert_len = r.pdh_len = sizeof(certs.pdh);
	s.plat_certs_uaddr = (uintptr_t)certs.plat;
	s.plat_certs_len = sizeof(certs.plat);
	s.amd_certs_uaddr = (uintptr_t)certs.amd;
	s.amd_certs_len = certs.amd_len;
	s.session_uaddr = r.session_uaddr = (uintptr_t)session;
	s.session_len = r.session_len = sizeof(session);
	expect(&a, KVM_SEV_SEND_START, &s, 0, 0);
	expect(&b, KVM_SEV_INIT, NULL, 0, 0);
	expect(&b, KVM_SEV_RECEIVE_START, &r, 0, 0);
	expect(&a, KVM_SEV_SEND_UPDATE_DATA, &u, 0, 0);
	assert_memory_not_equal(packet, ram, PAGE_LEN);
	expect(&b, KVM_SEV_RECEIVE_UPDATE_DATA, &v, 0, 0);
	assert_memory_equal(ram, ram + PAGE_LEN, PAGE_LEN);
	expect(&a, KVM_SEV_SEND_FINISH, NULL, 0, 0);
	expect(&b, KVM_SEV_RECEIVE_FINISH, NULL, 0, 0);
	assert_int_equal(state_of(&a), 6);
	assert_int_equal(state_of(&b), 3);
	sev_vm_free(a.vm);
	sev_vm_free(b.vm);
}

static void a_secret_lies_in_one_piece_of_memory(void **state)
{
	uint8_t b[64] = { 0 };
	uintptr_t edge = ((uintptr_t)ram + 0x200000) & ~0x1ffffful;
	struct kvm_sev_launch_secret p = {
		(uintptr_t)b, SEV_PACKET_HDR_LEN, 0, 32, (uintptr_t)b, 32
	};
	struct client c;

	(void)state;
	client_open(&c, 0, false, false);
	expect(&c, KVM_SEV_INIT, NULL, 0, 0);
	launch_start(&c, 0);
	p.guest_uaddr = edge - 16; /* across two huge pages */
	expect(&c, KVM_SEV_LAUNCH_SECRET, &p, -EINVAL, UNTOUCHED);
	p.guest_uaddr = edge + PAGE_LEN - 16;
	expect(&c, KVM_SEV_LAUNCH_SECRET, &p, -EIO, 2); /* not measured yet */
	p.guest_uaddr = UINT64_MAX - 15;
	expect(&c, KVM_SEV_LAUNCH_SECRET, &p, -EINVAL, UNTOUCHED);
	sev_vm_free(c.vm);
}

/* --- SEV-ES ---------------------------------------------------------------------------------- */

static void es_vcpus_are_measured_in_order(void **state)
{
	uint8_t page[SEV_VMSA_LEN], digest[32], report[208], out[256];
	struct kvm_sev_attestation_report a = { .uaddr = (uintptr_t)report, .len = sizeof(report) };
	struct kvm_sev_launch_measure m = { (uintptr_t)out, sizeof(out) };
	auto_mem uint8_t *both = malloc(2 * sizeof(page));
	struct client c;
	struct err e = { 0 };

	(void)state;
	client_open(&c, 0, false, false);
	expect(&c, KVM_SEV_ES_INIT, NULL, 0, 0);
	launch_start(&c, 4);
	expect(&c, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, UNTOUCHED); /* no vCPU: nothing */
	c.vcpus = 2;
	expect(&c, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, 0);
	assert_true(sev_soft_vm_state(c.vm).protected);
	assert_false(sev_soft_vm_state(c.vm).regs_hidden);
	expect(&c, KVM_SEV_LAUNCH_MEASURE, &m, 0, 0);
	expect(&c, KVM_SEV_GET_ATTESTATION_REPORT, &a, 0, 0);
	sev_vmsa_build(&c.regs, page);
	memcpy(both, page, sizeof(page));
	memcpy(both + sizeof(page), page, sizeof(page));
	assert_int_equal(crypto_sha256(both, 2 * sizeof(page), digest, &e), 0);
	assert_memory_equal(report + 0x10, digest, sizeof(digest));
	expect(&c, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -EIO, 2);
	sev_vm_free(c.vm);
}

static void es_vcpus_that_cannot_be_measured_say_why(void **state)
{
	struct client sev, es;

	(void)state;
	client_open(&sev, 0, false, false);
	client_open(&es, 0, false, false);
	expect(&sev, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -ENOTTY, UNTOUCHED);
	expect(&sev, KVM_SEV_INIT, NULL, 0, 0);
	expect(&sev, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -ENOTTY, UNTOUCHED);
	expect(&es, KVM_SEV_ES_INIT, NULL, 0, 0);
	launch_start(&es, 4);
	es.vcpus = 1;
	es.coming = true;
	expect(&es, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -EBUSY, UNTOUCHED);
	es.coming = false;
	es.regs.debug.dr7 = 0x401;
	expect(&es, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -EINVAL, UNTOUCHED);
	es.regs_error = -EINVAL; /* KVM_SET_GUEST_DEBUG was done */
	expect(&es, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -EINVAL, UNTOUCHED);
	sev_vm_free(sev.vm);
	sev_vm_free(es.vm);
}

static void a_repeated_update_vmsa_is_the_shims_choice(void **state)
{
	struct client lenient, strict;

	(void)state;
	client_open(&lenient, 0, false, false);
	client_open(&strict, 0, false, true);
	expect(&lenient, KVM_SEV_ES_INIT, NULL, 0, 0);
	expect(&strict, KVM_SEV_ES_INIT, NULL, 0, 0);
	launch_start(&lenient, 4);
	launch_start(&strict, 4);
	lenient.vcpus = strict.vcpus = 1;
	expect(&lenient, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, 0);
	expect(&lenient, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, 0);
	expect(&strict, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, 0);
	expect(&strict, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -EINVAL, UNTOUCHED);
	sev_vm_free(lenient.vm);
	sev_vm_free(strict.vm);
}

static void es_policy_and_es_vm_belong_together(void **state)
{
	struct kvm_sev_launch_start p = { .policy = 4 };
	struct client c;

	(void)state;
	client_open(&c, 0, false, false);
	expect(&c, KVM_SEV_INIT, NULL, 0, 0);
	expect(&c, KVM_SEV_LAUNCH_START, &p, -EIO, 0xd);
	sev_vm_free(c.vm);
	client_open(&c, SEV_VM_TYPE_ES, false, false);
	init2(&c, 0, 0, 0, 0);
	p.policy = 0;
	expect(&c, KVM_SEV_LAUNCH_START, &p, -EIO, 0xd);
	p.policy = 4;
	expect(&c, KVM_SEV_LAUNCH_START, &p, 0, 0);
	c.vcpus = 1;
	expect(&c, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, 0);
	assert_true(sev_soft_vm_state(c.vm).regs_hidden);
	sev_vm_free(c.vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_probe_is_a_null_argument),
		cmocka_unit_test(readers_of_dev_sev_may_read),
		cmocka_unit_test(dev_sev_knows_one_request),
		cmocka_unit_test(capabilities_are_those_of_a_host_with_sev),
		cmocka_unit_test(init2_is_for_vms_of_sev_types),
		cmocka_unit_test(init2_refuses_every_flag_and_feature),
		cmocka_unit_test(init_comes_before_vcpus_and_once),
		cmocka_unit_test(asids_run_out_with_ebusy_and_come_back),
		cmocka_unit_test(a_command_needs_its_dev_sev_open),
		cmocka_unit_test(a_start_that_cannot_be_told_has_not_happened),
		cmocka_unit_test(launch_measures_memory_and_leaves_it),
		cmocka_unit_test(pages_that_are_read_only_cannot_be_pinned),
		cmocka_unit_test(send_and_receive_carry_plain_text),
		cmocka_unit_test(a_secret_lies_in_one_piece_of_memory),
		cmocka_unit_test(es_vcpus_are_measured_in_order),
		cmocka_unit_test(es_vcpus_that_cannot_be_measured_say_why),
		cmocka_unit_test(a_repeated_update_vmsa_is_the_shims_choice),
		cmocka_unit_test(es_policy_and_es_vm_belong_together),
	};

	return cmocka_run_group_tests_name("sev_client", tests, client_setup, client_teardown);
}
