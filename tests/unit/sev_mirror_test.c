/* SPDX-License-Identifier: Apache-2.0 */

/* Two VMs, one context: mirrors and moves inside a host, and what a fork leaves. The rules are
 * those that the kernel's own selftest of them checks. */

#include <pthread.h>
#include <sys/wait.h>

#include "sev/es.h"
#include "tests/unit/sev_client.h"

static struct client c[5];

static int five_open(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		client_open(&c[i], 0, false, false);
	return 0;
}

static int five_close(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		sev_vm_free(c[i].vm);
		c[i].vm = NULL;
	}
	return 0;
}

static void close_one(int i)
{
	sev_vm_free(c[i].vm);
	client_open(&c[i], 0, false, false);
}

/* SEV-ES with its vCPUs encrypted, in LUPDATE. */
static void es_started(struct client *it, unsigned n)
{
	expect(it, KVM_SEV_ES_INIT, NULL, 0, 0);
	launch_start(it, 4);
	it->vcpus = n;
	expect(it, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, n ? 0 : UNTOUCHED);
}

/* --- mirrors --------------------------------------------------------------------------------- */

static void a_mirror_takes_four_commands(void **state)
{
	struct kvm_enc_region r = { (uintptr_t)ram, PAGE_LEN };
	uint8_t out[16];
	struct kvm_sev_dbg dbg = { (uintptr_t)ram, (uintptr_t)out, sizeof(out) };

	(void)state;
	launch(&c[0], 0);
	assert_int_equal(sev_soft_vm_copy_from(c[1].vm, c[0].vm), 0);
	c[1].vcpus = 4; /* come after */
	assert_int_equal(state_of(&c[1]), 3);
	expect(&c[1], KVM_SEV_DBG_DECRYPT, &dbg, 0, 0);
	expect(&c[1], KVM_SEV_DBG_ENCRYPT, &dbg, 0, 0);
	expect(&c[1], KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, -ENOTTY, UNTOUCHED);
	for (uint32_t id = 0; id < 110; id++) {
		if (id != KVM_SEV_LAUNCH_UPDATE_VMSA && id != KVM_SEV_GUEST_STATUS &&
		    id != KVM_SEV_DBG_DECRYPT && id != KVM_SEV_DBG_ENCRYPT)
			expect(&c[1], id, NULL, -EINVAL, UNTOUCHED);
	}
	assert_int_equal(sev_soft_vm_ioctl(c[1].vm, KVM_MEMORY_ENCRYPT_REG_REGION, (uintptr_t)&r),
			 -EINVAL);
	assert_int_equal(sev_soft_vm_ioctl(c[1].vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, (uintptr_t)&r),
			 -EINVAL);
}

static void an_es_mirror_measures_vcpus_of_its_own(void **state)
{
	(void)state;
	es_started(&c[0], 0);
	assert_int_equal(sev_soft_vm_copy_from(c[1].vm, c[0].vm), 0);
	assert_true(sev_soft_vm_state(c[1].vm).es);
	c[1].vcpus = 4;
	expect(&c[1], KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, 0);
	assert_int_equal(state_of(&c[1]), 1);
}

static void a_mirror_is_refused_where_it_cannot_be(void **state)
{
	(void)state;
	expect(&c[0], KVM_SEV_INIT, NULL, 0, 0);
	expect(&c[1], KVM_SEV_ES_INIT, NULL, 0, 0);
	assert_int_equal(sev_soft_vm_copy_from(c[0].vm, c[0].vm), -EINVAL); /* itself */
	assert_int_equal(sev_soft_vm_copy_from(c[2].vm, c[3].vm), -EINVAL); /* not SEV */
	assert_int_equal(sev_soft_vm_copy_from(c[2].vm, NULL), -EINVAL);    /* never ours */
	assert_int_equal(sev_soft_vm_copy_from(c[0].vm, c[1].vm), -EINVAL); /* SEV already */
	assert_int_equal(sev_soft_vm_copy_from(c[1].vm, c[0].vm), -EINVAL); /* SEV-ES already */
	c[2].vcpus = 1;
	assert_int_equal(sev_soft_vm_copy_from(c[2].vm, c[0].vm), -EINVAL); /* vCPUs */
	c[2].vcpus = 0;
	assert_int_equal(sev_soft_vm_copy_from(c[2].vm, c[0].vm), 0);
	assert_int_equal(sev_soft_vm_copy_from(c[3].vm, c[2].vm), -EINVAL); /* of a mirror */
}

static void a_guest_lives_as_long_as_its_last_mirror(void **state)
{
	struct sev_user_data_status st;
	struct err e = { 0 };

	(void)state;
	launch(&c[0], 0);
	assert_int_equal(sev_soft_vm_copy_from(c[1].vm, c[0].vm), 0);
	close_one(0);
	assert_int_equal(state_of(&c[1]), 3);
	assert_int_equal(sev_platform_status(platform, &st, &e), 0);
	assert_int_equal(st.guest_count, 1);
	close_one(1);
	assert_int_equal(sev_platform_status(platform, &st, &e), 0);
	assert_int_equal(st.guest_count, 0);
	assert_int_equal(st.state, 1);
}

/* --- moves ----------------------------------------------------------------------------------- */

static void a_guest_moves_on_and_never_back(void **state)
{
	struct kvm_enc_region r = { (uintptr_t)ram, PAGE_LEN };

	(void)state;
	launch(&c[0], 0);
	c[0].vcpus = c[1].vcpus = c[2].vcpus = 4;
	assert_int_equal(sev_soft_vm_ioctl(c[0].vm, KVM_MEMORY_ENCRYPT_REG_REGION, (uintptr_t)&r),
			 0);
	assert_int_equal(sev_soft_vm_move_from(c[1].vm, c[0].vm), 0);
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, c[1].vm), 0);
	assert_true(sev_soft_vm_state(c[0].vm).dead);
	assert_int_equal(sev_soft_vm_move_from(c[0].vm, c[2].vm), -EIO);
	assert_int_equal(sev_soft_vm_copy_from(c[0].vm, c[2].vm), -EIO);
	assert_int_equal(sev_soft_vm_ioctl(c[0].vm, KVM_MEMORY_ENCRYPT_OP, 0), -EIO);
	expect(&c[0], KVM_SEV_INIT, NULL, -EIO, UNTOUCHED);
	assert_int_equal(sev_soft_vm_ioctl(c[0].vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, (uintptr_t)&r),
			 -EIO);
	assert_int_equal(sev_soft_vm_ioctl(c[2].vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, (uintptr_t)&r),
			 0);
}

static void the_number_of_dev_sev_stays_behind(void **state)
{
	struct kvm_sev_guest_status st;

	(void)state;
	launch(&c[0], 0);
	assert_int_equal(sev_soft_vm_move_from(c[1].vm, c[0].vm), 0);
	expect(&c[1], KVM_SEV_GUEST_STATUS, &st, -EBADF, UNTOUCHED);
	c[1].sev_fd = 0; /* where 0 is /dev/sev */
	assert_int_equal(state_of(&c[1]), 3);
}

static void a_move_is_refused_where_it_cannot_be(void **state)
{
	struct client other;

	(void)state;
	client_open(&other, SEV_VM_TYPE_SEV, false, false);
	expect(&c[0], KVM_SEV_INIT, NULL, 0, 0);
	es_started(&c[1], 2);
	assert_int_equal(sev_soft_vm_move_from(c[0].vm, c[0].vm), -EINVAL);
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, c[3].vm), -EINVAL); /* no SEV */
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, NULL), -EINVAL);
	assert_int_equal(sev_soft_vm_move_from(c[0].vm, c[1].vm), -EINVAL);  /* ES to SEV */
	assert_int_equal(sev_soft_vm_move_from(c[1].vm, c[0].vm), -EINVAL);  /* SEV to ES */
	assert_int_equal(sev_soft_vm_move_from(other.vm, c[0].vm), -EINVAL); /* types */
	c[2].vcpus = 1;
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, c[1].vm), -EINVAL); /* 1 and 2 vCPUs */
	c[1].vcpus = c[2].vcpus = 3;
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, c[1].vm), -EINVAL); /* one is plain */
	c[2].coming = true;
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, c[0].vm), -EBUSY);
	c[2].coming = false;
	expect(&c[1], KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, 0, 0);
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, c[1].vm), 0);
	assert_true(sev_soft_vm_state(c[2].vm).protected);
	sev_vm_free(other.vm);
}

static void owner_and_mirror_move_in_any_order(void **state)
{
	(void)state;
	launch(&c[0], 0);
	assert_int_equal(sev_soft_vm_copy_from(c[1].vm, c[0].vm), 0);
	assert_int_equal(sev_soft_vm_move_from(c[2].vm, c[1].vm), 0);   /* the mirror */
	assert_int_equal(sev_soft_vm_move_from(c[3].vm, c[0].vm), 0);   /* the owner */
	expect(&c[2], KVM_SEV_LAUNCH_FINISH, NULL, -EINVAL, UNTOUCHED); /* still a mirror */
	close_one(3);
	c[2].sev_fd = 0;
	assert_int_equal(state_of(&c[2]), 3);
	close_one(2);
	close_one(0);
	close_one(1);
}

static void *mover(void *arg)
{
	unsigned n = *(unsigned *)arg;
	long *good = malloc(sizeof(*good));

	*good = 0;
	for (unsigned i = 0; i < 3000; i++)
		*good += sev_soft_vm_move_from(c[n].vm, c[(n + i % 2 + 1) % 3].vm) == 0;
	return good;
}

static void three_threads_move_guests_at_each_other(void **state)
{
	unsigned numbers[] = { 0, 1, 2 };
	pthread_t t[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		expect(&c[i], KVM_SEV_INIT, NULL, 0, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, mover, &numbers[i]), 0);
	for (int i = 0; i < 3; i++) {
		void *good;

		assert_int_equal(pthread_join(t[i], &good), 0);
		assert_int_equal(*(long *)good, 0); /* each has a guest of its own */
		free(good);
	}
}

/* --- Hygon's vCPU commands ---------------------------------------------------------------------
 */

struct update_vmsa {
	uint32_t vcpu, pad0;
	uint64_t hdr_uaddr;
	uint32_t hdr_len, pad1;
	uint64_t trans_uaddr;
	uint32_t trans_len, pad2;
};

static void sending_start(struct client *from, struct client *to, uint32_t policy)
{
	uint8_t session[SEV_SESSION_LEN];
	struct sev_peer_certs certs;
	struct kvm_sev_send_start s = { .session_uaddr = (uintptr_t)session,
					.session_len = sizeof(session) };
	struct kvm_sev_receive_start r = { .policy = policy,
					   .session_uaddr = (uintptr_t)session,
					   .session_len = sizeof(session) };
	struct err e = { 0 };

	assert_int_equal(sev_certs_export(platform, &certs, &e), 0);
	s.pdh_cert_uaddr = r.pdh_uaddr = (uintptr_t)certs.pdh;
	s.pdh_cert_len = r.pdh_len = sizeof(certs.pdh);
	s.plat_certs_uaddr = (uintptr_t)certs.plat;
	s.plat_certs_len = sizeof(certs.plat);
	s.amd_certs_uaddr = (uintptr_t)certs.amd;
	s.amd_certs_len = certs.amd_len;
	expect(from, KVM_SEV_SEND_START, &s, 0, 0);
	expect(to, KVM_SEV_ES_INIT, NULL, 0, 0);
	expect(to, KVM_SEV_RECEIVE_START, &r, 0, 0);
}

static void vcpus_travel_only_where_the_kernel_is_hygons(void **state)
{
	uint8_t hdr[SEV_PACKET_HDR_LEN], packet[SEV_VMSA_LEN], out[SEV_MEASURE_LEN];
	struct kvm_sev_launch_measure m = { (uintptr_t)out, sizeof(out) };
	struct update_vmsa p = { 0 };
	struct client from, to;
	struct err e = { 0 };

	(void)state;
	client_open(&from, 0, true, false);
	client_open(&to, 0, true, false);
	es_started(&from, 2);
	expect(&from, KVM_SEV_LAUNCH_MEASURE, &m, 0, 0);
	expect(&from, KVM_SEV_LAUNCH_FINISH, NULL, 0, 0);
	expect(&from, KVM_SEV_SEND_UPDATE_VMSA, &p, -EIO, 2);
	sending_start(&from, &to, 4);
	expect(&from, KVM_SEV_SEND_UPDATE_VMSA, &p, -EIO, 4);
	assert_int_equal(p.hdr_len, sizeof(hdr));
	assert_int_equal(p.trans_len, sizeof(packet));
	p.hdr_uaddr = (uintptr_t)hdr;
	p.trans_uaddr = (uintptr_t)packet;
	p.vcpu = 2;
	expect(&from, KVM_SEV_SEND_UPDATE_VMSA, &p, -EINVAL, UNTOUCHED);
	p.vcpu = 1;
	expect(&from, KVM_SEV_SEND_UPDATE_VMSA, &p, 0, 0);
	expect(&to, KVM_SEV_RECEIVE_UPDATE_VMSA, &p, -EINVAL, UNTOUCHED); /* no such vCPU */
	to.vcpus = 2;
	packet[5] ^= 1;
	expect(&to, KVM_SEV_RECEIVE_UPDATE_VMSA, &p, -EIO, 0xb);
	packet[5] ^= 1;
	expect(&to, KVM_SEV_RECEIVE_UPDATE_VMSA, &p, 0, 0);
	assert_true(sev_soft_vm_state(to.vm).protected);
	expect(&c[0], KVM_SEV_INIT, NULL, 0, 0);
	expect(&c[0], KVM_SEV_SEND_UPDATE_VMSA, &p, -EINVAL, UNTOUCHED); /* as mainline */
	expect(&c[0], KVM_SEV_RECEIVE_UPDATE_VMSA, &p, -EINVAL, UNTOUCHED);
	for (int send = 0; send < 2; send++) { /* and it can be told without doing anything */
		assert_int_equal(sev_vmsa_movable(from.vm, send, &e), 0);
		assert_int_equal(sev_vmsa_movable(to.vm, send, &e), 0);
		assert_int_equal(sev_vmsa_movable(c[0].vm, send, &e), -EOPNOTSUPP);
	}
	sev_vm_free(from.vm);
	sev_vm_free(to.vm);
}

/* --- fork ------------------------------------------------------------------------------------ */

static int child_checks(void)
{
	struct sev_user_data_status st = { 0 };
	struct sev_issue_cmd cmd = { .cmd = SEV_PDH_GEN };
	struct err e = { 0 };

	if (sev_soft_vm_ioctl(c[0].vm, KVM_MEMORY_ENCRYPT_OP, 0) != -EIO ||
	    !sev_soft_vm_state(c[0].vm).dead)
		return 1;
	if (sev_platform_status(platform, &st, &e) < 0 || st.state != 2 || st.guest_count != 1)
		return 2; /* its parent's guest */
	if (sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD, (uintptr_t)&cmd, true) != 0)
		return 3;
	client_open(&c[1], 0, false, false);
	launch(&c[1], 0);
	sev_vm_free(c[1].vm);
	sev_vm_free(c[0].vm);
	return 0;
}

static void a_forked_child_has_the_platform_and_no_vm(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	launch(&c[0], 0);
	sev_soft_fork_hold(platform);
	pid = fork();
	sev_soft_fork_release(platform);
	if (pid == 0)
		_exit(child_checks());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(state_of(&c[0]), 3);
}

#define five(f) cmocka_unit_test_setup_teardown(f, five_open, five_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		five(a_mirror_takes_four_commands),
		five(an_es_mirror_measures_vcpus_of_its_own),
		five(a_mirror_is_refused_where_it_cannot_be),
		five(a_guest_lives_as_long_as_its_last_mirror),
		five(a_guest_moves_on_and_never_back),
		five(the_number_of_dev_sev_stays_behind),
		five(a_move_is_refused_where_it_cannot_be),
		five(owner_and_mirror_move_in_any_order),
		five(three_threads_move_guests_at_each_other),
		five(vcpus_travel_only_where_the_kernel_is_hygons),
		five(a_forked_child_has_the_platform_and_no_vm),
	};

	return cmocka_run_group_tests_name("sev_mirror", tests, client_setup, client_teardown);
}
