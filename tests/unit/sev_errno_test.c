/* SPDX-License-Identifier: Apache-2.0 */

/* A VM of the software platform answers as Linux does: errno, the error field, what is
 * written back, and the length queries by which clients ask for sizes. */

#include <errno.h>

#include "tests/unit/sev_fixture.h"

#define UNMAPPED 0x1000u /* below vm.mmap_min_addr */
#define UNTOUCHED 0x55u  /* an error field that nobody wrote */

static char *dir;
static struct sev_platform *platform;
static struct fixture_guest g;

static int setup(void **state)
{
	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "one"), NULL, NULL);
	platform = fixture_open(fixture_path(dir, "one"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sev_platform_free(platform);
	fixture_dir_remove(dir);
	return 0;
}

static int guest_setup(void **state)
{
	(void)state;
	g = fixture_guest_new(platform);
	return 0;
}

static int running_setup(void **state)
{
	guest_setup(state);
	fixture_launch(&g, 0);
	return 0;
}

/* In SUPDATE, towards the platform itself. */
static int sending_setup(void **state)
{
	uint8_t session[SEV_SESSION_LEN];
	struct sev_peer_certs certs;
	struct err e = { 0 };
	uint32_t policy;

	running_setup(state);
	return sev_certs_export(platform, &certs, &e) < 0 ||
	       sev_send_start(g.vm, &certs, session, &policy, &e) < 0;
}

static int guest_teardown(void **state)
{
	(void)state;
	fixture_guest_free(&g);
	return 0;
}

static void expect_op(uint32_t id, const void *params, int r, uint32_t error)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = (uintptr_t)params, .error = UNTOUCHED };
	int got = sev_vm_op(g.vm, &cmd);

	if (got != r || cmd.error != error)
		fail_msg("id %u: %d, status %#x; expected %d, %#x", id, got, cmd.error, r, error);
}

/* --- dispatch -------------------------------------------------------------------------------- */

static void ids_that_no_kernel_answers_are_einval(void **state)
{
	(void)state;
	assert_int_equal(sev_vm_op(g.vm, NULL), 0);
	expect_op(KVM_SEV_CERT_EXPORT, NULL, -EINVAL, UNTOUCHED);
	expect_op(KVM_SEV_NR_MAX, NULL, -EINVAL, UNTOUCHED);
	expect_op(100, NULL, -EINVAL, UNTOUCHED);
	expect_op(UINT32_MAX, NULL, -EINVAL, UNTOUCHED);
}

static void without_init_a_vm_has_no_sev(void **state)
{
	struct kvm_enc_region region = { (uintptr_t)state, PAGE_LEN };
	struct sev_vm *vm;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_vm_new(platform, -1, -1, &vm, &e), 0);
	for (uint32_t id = KVM_SEV_LAUNCH_START; id < KVM_SEV_NR_MAX; id++) {
		struct kvm_sev_cmd cmd = { .id = id, .error = UNTOUCHED };
		bool unknown = id == KVM_SEV_CERT_EXPORT;
		bool odd = id == KVM_SEV_RECEIVE_UPDATE_DATA;

		assert_int_equal(sev_vm_op(vm, &cmd), unknown || odd ? -EINVAL : -ENOTTY);
		assert_int_equal(cmd.error, UNTOUCHED);
	}
	assert_int_equal(sev_vm_region(vm, &region, true), -ENOTTY);
	assert_int_equal(sev_vm_region(vm, &region, false), -ENOTTY);
	sev_vm_free(vm);
}

static void a_second_init_is_einval(void **state)
{
	(void)state;
	expect_op(KVM_SEV_INIT, NULL, -EINVAL, UNTOUCHED);
	expect_op(KVM_SEV_ES_INIT, NULL, -EINVAL, UNTOUCHED);
}

static void a_vm_without_es_has_no_vmsa(void **state)
{
	(void)state;
	expect_op(KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -ENOTTY, UNTOUCHED);
	expect_op(KVM_SEV_SEND_UPDATE_VMSA, NULL, -ENOTTY, UNTOUCHED);
	expect_op(KVM_SEV_RECEIVE_UPDATE_VMSA, NULL, -ENOTTY, UNTOUCHED);
}

static void parameters_nobody_can_read_are_efault(void **state)
{
	static const uint32_t ids[] = {
		KVM_SEV_LAUNCH_START,
		KVM_SEV_LAUNCH_UPDATE_DATA,
		KVM_SEV_LAUNCH_SECRET,
		KVM_SEV_LAUNCH_MEASURE,
		KVM_SEV_SEND_START,
		KVM_SEV_SEND_UPDATE_DATA,
		KVM_SEV_RECEIVE_START,
		KVM_SEV_RECEIVE_UPDATE_DATA,
		KVM_SEV_DBG_DECRYPT,
		KVM_SEV_DBG_ENCRYPT,
		KVM_SEV_GET_ATTESTATION_REPORT,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		expect_op(ids[i], (const void *)(uintptr_t)UNMAPPED, -EFAULT, UNTOUCHED);
		expect_op(ids[i], NULL, -EFAULT, UNTOUCHED);
	}
	expect_op(KVM_SEV_GUEST_STATUS, NULL, -EFAULT, 0); /* the firmware was asked first */
}

/* --- launch ---------------------------------------------------------------------------------- */

static void launch_start_checks_its_blobs(void **state)
{
	uint8_t b[PAGE_LEN] = { 0 };
	struct kvm_sev_launch_start p = { .dh_uaddr = (uintptr_t)b };

	(void)state;
	expect_op(KVM_SEV_LAUNCH_START, &p, -EINVAL, UNTOUCHED);
	p.dh_len = 0x4001;
	expect_op(KVM_SEV_LAUNCH_START, &p, -EINVAL, UNTOUCHED);
	p = (struct kvm_sev_launch_start){ .dh_uaddr = UNMAPPED, .dh_len = 16 };
	expect_op(KVM_SEV_LAUNCH_START, &p, -EFAULT, UNTOUCHED);
	p = (struct kvm_sev_launch_start){ .session_uaddr = UNMAPPED, .session_len = 16 };
	expect_op(KVM_SEV_LAUNCH_START, &p, -EFAULT, UNTOUCHED);
	p = (struct kvm_sev_launch_start){ .policy = 0x40 };
	expect_op(KVM_SEV_LAUNCH_START, &p, -EIO, 7);
	p = (struct kvm_sev_launch_start){ .policy = 4 }; /* ES on an ASID that is not */
	expect_op(KVM_SEV_LAUNCH_START, &p, -EIO, 0xd);
	expect_op(KVM_SEV_GUEST_STATUS, &p, -EIO, 0x10); /* and nothing was left */
	p = (struct kvm_sev_launch_start){ .handle = 4711 };
	expect_op(KVM_SEV_LAUNCH_START, &p, -EIO, 0x10);
	p = (struct kvm_sev_launch_start){ .dh_len = 5 }; /* without an address: not given */
	expect_op(KVM_SEV_LAUNCH_START, &p, 0, 0);
	assert_int_not_equal(p.handle, 0);
	expect_op(KVM_SEV_LAUNCH_START, &p, -EIO, 0xc); /* the ASID is taken by the first */
	assert_int_equal(fixture_state(&g), 1);
}

static void launch_update_takes_whole_ranges_of_ram(void **state)
{
	struct kvm_sev_launch_start start = { 0 };
	uint8_t elsewhere[32];
	struct kvm_sev_launch_update_data p = { (uintptr_t)g.high, 0 };

	(void)state;
	expect_op(KVM_SEV_LAUNCH_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
	p.len = 16;
	expect_op(KVM_SEV_LAUNCH_UPDATE_DATA, &p, -EIO, 0x10); /* before LAUNCH_START */
	expect_op(KVM_SEV_LAUNCH_START, &start, 0, 0);
	p.len = 17;
	expect_op(KVM_SEV_LAUNCH_UPDATE_DATA, &p, -EIO, 4);
	p = (struct kvm_sev_launch_update_data){ (uintptr_t)g.high + 8, 16 };
	expect_op(KVM_SEV_LAUNCH_UPDATE_DATA, &p, -EIO, 9);
	p = (struct kvm_sev_launch_update_data){ (uintptr_t)g.high, FIXTURE_HIGH + 16 };
	expect_op(KVM_SEV_LAUNCH_UPDATE_DATA, &p, -ENOMEM, UNTOUCHED);
	p = (struct kvm_sev_launch_update_data){ (uintptr_t)elsewhere, 16 };
	expect_op(KVM_SEV_LAUNCH_UPDATE_DATA, &p, -ENOMEM, UNTOUCHED);
	p = (struct kvm_sev_launch_update_data){ UINT64_MAX - 7, 16 };
	expect_op(KVM_SEV_LAUNCH_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
}

static void launch_measure_answers_the_query_and_fills_what_it_is_given(void **state)
{
	struct kvm_sev_launch_start start = { 0 };
	uint8_t out[256];
	struct kvm_sev_launch_measure p = { 0 };

	(void)state;
	expect_op(KVM_SEV_LAUNCH_START, &start, 0, 0);
	expect_op(KVM_SEV_LAUNCH_MEASURE, &p, -EIO, 4);
	assert_int_equal(p.len, SEV_MEASURE_LEN);
	assert_int_equal(fixture_state(&g), 1);
	p = (struct kvm_sev_launch_measure){ 0, 48 };
	expect_op(KVM_SEV_LAUNCH_MEASURE, &p, -EIO, 4);
	p = (struct kvm_sev_launch_measure){ (uintptr_t)out, 0x4001 };
	expect_op(KVM_SEV_LAUNCH_MEASURE, &p, -EINVAL, UNTOUCHED);
	p = (struct kvm_sev_launch_measure){ (uintptr_t)out, 47 };
	expect_op(KVM_SEV_LAUNCH_MEASURE, &p, -EIO, 4);
	assert_int_equal(p.len, 47); /* not written back */
	memset(out, 0xff, sizeof(out));
	p = (struct kvm_sev_launch_measure){ (uintptr_t)out, sizeof(out) };
	expect_op(KVM_SEV_LAUNCH_MEASURE, &p, 0, 0);
	assert_int_equal(p.len, SEV_MEASURE_LEN);
	fixture_expect_zero(out + SEV_MEASURE_LEN, sizeof(out) - SEV_MEASURE_LEN);
	expect_op(KVM_SEV_LAUNCH_MEASURE, &p, -EIO, 2); /* only once */
}

static void launch_secret_checks_its_memory(void **state)
{
	uint8_t b[64] = { 0 };
	struct kvm_sev_launch_secret p = {
		.hdr_uaddr = (uintptr_t)b,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.guest_uaddr = (uintptr_t)g.high,
		.trans_uaddr = (uintptr_t)b,
		.trans_len = 16,
	};

	(void)state;
	expect_op(KVM_SEV_LAUNCH_SECRET, &p, -EINVAL, UNTOUCHED);
	p.guest_len = 16;
	expect_op(KVM_SEV_LAUNCH_SECRET, &p, -EIO, 2); /* it runs already */
	p.trans_uaddr = UNMAPPED;
	expect_op(KVM_SEV_LAUNCH_SECRET, &p, -EFAULT, UNTOUCHED);
	p.trans_uaddr = 0;
	expect_op(KVM_SEV_LAUNCH_SECRET, &p, -EINVAL, UNTOUCHED);
	p.guest_uaddr = (uintptr_t)b;
	expect_op(KVM_SEV_LAUNCH_SECRET, &p, -ENOMEM, UNTOUCHED);
}

static void attestation_answers_the_query_and_signs(void **state)
{
	uint8_t out[208] = { 0 };
	struct kvm_sev_attestation_report p = { .mnonce = { 7 } };

	(void)state;
	expect_op(KVM_SEV_GET_ATTESTATION_REPORT, &p, -EIO, 4);
	assert_int_equal(p.len, sizeof(out));
	p.uaddr = (uintptr_t)out;
	expect_op(KVM_SEV_GET_ATTESTATION_REPORT, &p, 0, 0);
	assert_memory_equal(out, p.mnonce, 16);
}

/* --- send ------------------------------------------------------------------------------------ */

static void send_start_answers_the_query_and_wants_all_certificates(void **state)
{
	uint8_t session[SEV_SESSION_LEN];
	struct sev_peer_certs c;
	struct kvm_sev_send_start p = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_certs_export(platform, &c, &e), 0);
	expect_op(KVM_SEV_SEND_START, &p, -EIO, 4);
	assert_int_equal(p.session_len, SEV_SESSION_LEN);
	p.session_uaddr = (uintptr_t)session;
	expect_op(KVM_SEV_SEND_START, &p, -EINVAL, UNTOUCHED);
	p.pdh_cert_uaddr = (uintptr_t)c.pdh;
	p.pdh_cert_len = sizeof(c.pdh);
	expect_op(KVM_SEV_SEND_START, &p, -EINVAL, UNTOUCHED);
	p.plat_certs_uaddr = (uintptr_t)c.plat;
	p.plat_certs_len = sizeof(c.plat);
	expect_op(KVM_SEV_SEND_START, &p, -EINVAL, UNTOUCHED);
	p.amd_certs_uaddr = UNMAPPED;
	p.amd_certs_len = c.amd_len;
	expect_op(KVM_SEV_SEND_START, &p, -EFAULT, UNTOUCHED);
	p.amd_certs_uaddr = (uintptr_t)c.amd;
	p.session_len = 0x4001;
	expect_op(KVM_SEV_SEND_START, &p, -EINVAL, UNTOUCHED);
	p.session_len = SEV_SESSION_LEN - 1;
	expect_op(KVM_SEV_SEND_START, &p, -EIO, 4);
	assert_int_equal(p.session_len, SEV_SESSION_LEN); /* written back on failure, too */
	expect_op(KVM_SEV_SEND_START, &p, 0, 0);
}

static struct kvm_sev_send_update_data send_update(uint8_t *hdr, uint8_t *out, uint32_t len)
{
	return (struct kvm_sev_send_update_data){
		.hdr_uaddr = (uintptr_t)hdr,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.guest_uaddr = (uintptr_t)g.high,
		.guest_len = len,
		.trans_uaddr = (uintptr_t)out,
		.trans_len = len,
	};
}

static void send_update_answers_the_query(void **state)
{
	struct kvm_sev_send_update_data p = { 0 };

	(void)state;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -EIO, 4);
	assert_int_equal(p.hdr_len, SEV_PACKET_HDR_LEN);
	assert_int_equal(p.trans_len, PAGE_LEN);
}

static void send_update_sends_a_page_at_most(void **state)
{
	uint8_t hdr[SEV_PACKET_HDR_LEN + 4], out[PAGE_LEN];
	struct kvm_sev_send_update_data p = send_update(hdr, out, PAGE_LEN);

	(void)state;
	p.guest_len = PAGE_LEN + 16;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
	p = send_update(hdr, out, PAGE_LEN);
	p.guest_uaddr += 16;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
	p.guest_uaddr = 0;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
	p.guest_uaddr = (uintptr_t)out & ~0xffful;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -ENOMEM, UNTOUCHED);
	p = send_update(hdr, out, PAGE_LEN);
	p.trans_uaddr = UNMAPPED;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -EFAULT, 0); /* the firmware was asked first */
	p = send_update(hdr, out, PAGE_LEN);
	p.hdr_len = 51;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -EIO, 4);
	assert_int_equal(p.hdr_len, 51); /* not written back */
	p.hdr_len = SEV_PACKET_HDR_LEN;
	p.trans_len = PAGE_LEN - 1;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -EIO, 4);
	p.trans_len = 1u << 31;
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, -ENOMEM, UNTOUCHED);
}

static void send_update_fills_the_room_it_was_given_with_zeros(void **state)
{
	uint8_t hdr[SEV_PACKET_HDR_LEN + 4], out[64];
	struct kvm_sev_send_update_data p = send_update(hdr, out, 16);

	(void)state;
	memset(hdr, 0xff, sizeof(hdr));
	memset(out, 0xff, sizeof(out));
	p.hdr_len = sizeof(hdr);
	p.trans_len = sizeof(out);
	expect_op(KVM_SEV_SEND_UPDATE_DATA, &p, 0, 0);
	fixture_expect_zero(hdr + SEV_PACKET_HDR_LEN, 4);
	fixture_expect_zero(out + 16, sizeof(out) - 16);
	assert_int_equal(p.hdr_len, sizeof(hdr));
}

/* --- receive, debugging, regions -------------------------------------------------------------- */

static void receive_start_wants_everything(void **state)
{
	uint8_t b[SEV_CERT_LEN] = { 0 };
	struct kvm_sev_receive_start p = { .pdh_uaddr = (uintptr_t)b,
					   .pdh_len = sizeof(b),
					   .session_uaddr = (uintptr_t)b };

	(void)state;
	expect_op(KVM_SEV_RECEIVE_START, &p, -EINVAL, UNTOUCHED);
	p.session_len = SEV_SESSION_LEN;
	expect_op(KVM_SEV_RECEIVE_START, &p, -EIO, 6); /* a certificate of zeros */
	p.pdh_len--;
	expect_op(KVM_SEV_RECEIVE_START, &p, -EIO, 4);
	p.pdh_uaddr = UNMAPPED;
	expect_op(KVM_SEV_RECEIVE_START, &p, -EFAULT, UNTOUCHED);
	p.pdh_uaddr = 0;
	expect_op(KVM_SEV_RECEIVE_START, &p, -EINVAL, UNTOUCHED);
}

static void receive_update_wants_everything(void **state)
{
	uint8_t b[PAGE_LEN] = { 0 };
	struct kvm_sev_receive_update_data p = {
		.hdr_uaddr = (uintptr_t)b,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.guest_uaddr = (uintptr_t)g.high,
		.guest_len = 16,
		.trans_uaddr = (uintptr_t)b,
	};

	(void)state;
	expect_op(KVM_SEV_RECEIVE_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
	p.trans_len = 16;
	expect_op(KVM_SEV_RECEIVE_UPDATE_DATA, &p, -EIO, 2); /* not receiving */
	p.guest_uaddr += PAGE_LEN - 8;
	expect_op(KVM_SEV_RECEIVE_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
	p.guest_uaddr = (uintptr_t)b & ~15ul;
	p.guest_len = 1;
	expect_op(KVM_SEV_RECEIVE_UPDATE_DATA, &p, -ENOMEM, UNTOUCHED);
	p.hdr_uaddr = UNMAPPED;
	expect_op(KVM_SEV_RECEIVE_UPDATE_DATA, &p, -EFAULT, UNTOUCHED);
	p.hdr_len = 0x4001;
	expect_op(KVM_SEV_RECEIVE_UPDATE_DATA, &p, -EINVAL, UNTOUCHED);
}

static void debugging_reads_and_writes_private_memory(void **state)
{
	uint8_t out[2 * PAGE_LEN] = { 0 };
	struct kvm_sev_dbg p = { (uintptr_t)g.low + 0x1000, (uintptr_t)out + 3, PAGE_LEN };

	(void)state;
	expect_op(KVM_SEV_DBG_DECRYPT, &p, 0, 0);
	assert_int_equal(out[2], 0);
	assert_int_equal(out[3], 'a');
	assert_int_equal(out[PAGE_LEN + 2], 'a');
	assert_int_equal(out[PAGE_LEN + 3], 0);
	p = (struct kvm_sev_dbg){ (uintptr_t)out, (uintptr_t)g.low + 0x1ffe, 2 };
	expect_op(KVM_SEV_DBG_ENCRYPT, &p, 0, 0);
	p = (struct kvm_sev_dbg){ (uintptr_t)g.low + 0x1ffd, (uintptr_t)out, 4 };
	expect_op(KVM_SEV_DBG_DECRYPT, &p, 0, 0);
	assert_memory_equal(out, "a\0\0\0", 4);
	fixture_expect_zero(g.low, FIXTURE_LOW);
}

static void debugging_checks_its_memory(void **state)
{
	uint8_t out[16];
	struct kvm_sev_dbg p = { (uintptr_t)g.high, (uintptr_t)out, 0 };

	(void)state;
	expect_op(KVM_SEV_DBG_DECRYPT, &p, -EINVAL, UNTOUCHED);
	p = (struct kvm_sev_dbg){ (uintptr_t)g.high, 0, 16 };
	expect_op(KVM_SEV_DBG_DECRYPT, &p, -EINVAL, UNTOUCHED);
	p = (struct kvm_sev_dbg){ UINT64_MAX, (uintptr_t)out, 16 };
	expect_op(KVM_SEV_DBG_DECRYPT, &p, -EINVAL, UNTOUCHED);
	p = (struct kvm_sev_dbg){ (uintptr_t)out, (uintptr_t)out, 16 };
	expect_op(KVM_SEV_DBG_DECRYPT, &p, -ENOMEM, UNTOUCHED);
	p = (struct kvm_sev_dbg){ (uintptr_t)g.high, UNMAPPED, 16 };
	expect_op(KVM_SEV_DBG_DECRYPT, &p, -ENOMEM, UNTOUCHED);
}

static void policy_nodbg_refuses_debugging(void **state)
{
	uint8_t out[16] = { 0 };
	struct kvm_sev_dbg p = { (uintptr_t)g.low + 0x1000, (uintptr_t)out, 16 };

	(void)state;
	fixture_launch(&g, 1);
	expect_op(KVM_SEV_DBG_DECRYPT, &p, -EIO, 7);
	fixture_expect_zero(out, sizeof(out));
	p = (struct kvm_sev_dbg){ (uintptr_t)out, (uintptr_t)g.low + 0x1000, 16 };
	expect_op(KVM_SEV_DBG_ENCRYPT, &p, -EIO, 7);
	fixture_expect_page(&g, 0x1000, 'a');
}

static void regions_are_counted_as_kvm_does(void **state)
{
	struct kvm_enc_region r = { (uintptr_t)g.high + 5, 100 }, none = { (uintptr_t)g.high, 0 };
	struct kvm_enc_region wrap = { UINT64_MAX, 2 },
			      out = { (uintptr_t)g.high, FIXTURE_HIGH + 1 };

	(void)state;
	assert_int_equal(sev_vm_region(g.vm, &none, true), -EINVAL);
	assert_int_equal(sev_vm_region(g.vm, &wrap, true), -EINVAL);
	assert_int_equal(sev_vm_region(g.vm, &out, true), -ENOMEM);
	assert_int_equal(sev_vm_region(g.vm, &r, false), -EINVAL);
	assert_int_equal(sev_vm_region(g.vm, &r, true), 0);
	assert_int_equal(sev_vm_region(g.vm, &r, true), 0);
	r.size--;
	assert_int_equal(sev_vm_region(g.vm, &r, false), -EINVAL);
	r.size++;
	assert_int_equal(sev_vm_region(g.vm, &r, false), 0);
	assert_int_equal(sev_vm_region(g.vm, &r, false), 0);
	assert_int_equal(sev_vm_region(g.vm, &r, false), -EINVAL);
	assert_int_equal(sev_vm_region(g.vm, &r, true), 0); /* freed with the VM */
}

#define fresh(f) cmocka_unit_test_setup_teardown(f, guest_setup, guest_teardown)
#define running(f) cmocka_unit_test_setup_teardown(f, running_setup, guest_teardown)
#define sending(f) cmocka_unit_test_setup_teardown(f, sending_setup, guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fresh(ids_that_no_kernel_answers_are_einval),
		cmocka_unit_test(without_init_a_vm_has_no_sev),
		fresh(a_second_init_is_einval),
		fresh(a_vm_without_es_has_no_vmsa),
		running(parameters_nobody_can_read_are_efault),
		fresh(launch_start_checks_its_blobs),
		fresh(launch_update_takes_whole_ranges_of_ram),
		fresh(launch_measure_answers_the_query_and_fills_what_it_is_given),
		running(launch_secret_checks_its_memory),
		running(attestation_answers_the_query_and_signs),
		running(send_start_answers_the_query_and_wants_all_certificates),
		sending(send_update_answers_the_query),
		sending(send_update_sends_a_page_at_most),
		sending(send_update_fills_the_room_it_was_given_with_zeros),
		fresh(receive_start_wants_everything),
		running(receive_update_wants_everything),
		running(debugging_reads_and_writes_private_memory),
		running(debugging_checks_its_memory),
		fresh(policy_nodbg_refuses_debugging),
		fresh(regions_are_counted_as_kvm_does),
	};

	return cmocka_run_group_tests_name("sev_errno", tests, setup, teardown);
}
