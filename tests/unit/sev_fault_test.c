/* SPDX-License-Identifier: Apache-2.0 */

/* The fault backend, and with it: whichever call of a move breaks, the guest is left where the
 * Secure Processor's states say it is. */

#include <errno.h>

#include "tests/unit/sev_fixture.h"

enum { RUNNING = 3, SUPDATE = 4, SENT = 6 };

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = fixture_dir_new();
	fixture_init(fixture_path(dir, "one"), NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_dir_remove(dir);
	return 0;
}

/* Everything a launch calls, in order; the first failure ends it. */
static int launch(struct sev_platform *p, struct sev_vm **vm, uint8_t *ram, struct err *e)
{
	struct sev_ram range = { .at = gpa(0), .size = 2 * PAGE_LEN, .shared = ram };
	struct kvm_enc_region region = { (uintptr_t)ram, PAGE_LEN };
	struct sev_slot slots[SEV_SLOTS_PER_RAM];
	uint8_t measure[SEV_MEASURE_LEN], digest[32];
	size_t n;
	int r = sev_vm_new(p, -1, -1, vm, e);

	if (r < 0)
		return r;
	r = sev_vm_ram_add(*vm, &range, slots, &n, e);
	if (r == 0)
		r = sev_vm_log_dirty(*vm, true, e);
	if (r == 0)
		r = sev_vm_prefault(*vm, gpa(0), PAGE_LEN, true, e);
	if (r == 0)
		r = sev_init(*vm, 0, e);
	if (r == 0 && sev_vm_region(*vm, &region, true) < 0)
		r = err_set(e, -EIO, "region");
	if (r == 0)
		r = sev_launch_start(*vm, 0, NULL, 0, NULL, 0, e);
	if (r == 0)
		r = sev_launch_update(*vm, ram, PAGE_LEN, e);
	if (r == 0)
		r = sev_launch_measure(*vm, measure, e);
	if (r == 0)
		r = sev_launch_finish(*vm, e);
	return r < 0 ? r : sev_vm_debug_digest(*vm, gpa(0), digest, e);
}

static int move(struct sev_platform *p, struct sev_vm *vm, uint8_t *ram, struct err *e)
{
	uint8_t session[SEV_SESSION_LEN], hdr[SEV_PACKET_HDR_LEN], packet[PAGE_LEN];
	struct sev_peer_certs certs;
	uint32_t policy;
	int r = sev_certs_export(p, &certs, e);

	if (r == 0)
		r = sev_send_start(vm, &certs, session, &policy, e);
	if (r == 0)
		r = sev_send_update(vm, ram, PAGE_LEN, hdr, packet, e);
	return r < 0 ? r : sev_send_finish(vm, e);
}

static void every_call_breaks_once_with_eio_and_the_hardware_status(void **state)
{
	uint8_t *ram = aligned_alloc(PAGE_LEN, 2 * PAGE_LEN);
	unsigned k, calls = 0;
	int r = -EIO;

	(void)state;
	for (k = 0; r < 0; k++) {
		struct sev_platform *p =
			sev_fault_wrap(fixture_open(fixture_path(dir, "one")), k, &calls);
		struct sev_vm *vm = NULL;
		struct err e = { 0 };

		calls = 0;
		memset(ram, 'x', 2 * PAGE_LEN);
		r = launch(p, &vm, ram, &e);
		if (r == 0)
			r = move(p, vm, ram, &e);
		if (r < 0) {
			assert_int_equal(r, -EIO);
			assert_int_equal(e.code, -EIO);
			assert_true(strstr(e.msg, "HWERROR_PLATFORM (0x13)") ||
				    strstr(e.msg, "broken on purpose") ||
				    strcmp(e.msg, "region") == 0);
			assert_int_equal(calls, k + 1); /* nothing was called after it */
		}
		sev_vm_free(vm);
		sev_platform_free(p);
	}
	assert_int_equal(calls, k - 1); /* the first k that broke nothing */
	assert_int_equal(calls, 16);
	free(ram);
}

static void a_broken_call_did_not_happen(void **state)
{
	uint8_t *ram = aligned_alloc(PAGE_LEN, 2 * PAGE_LEN);
	static const uint32_t left_in[] = { RUNNING, RUNNING, RUNNING, SUPDATE, SUPDATE, SENT };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		/* The move's calls are the last five: 11 to 15. */
		struct sev_platform *p =
			sev_fault_wrap(fixture_open(fixture_path(dir, "one")), 11 + i, NULL);
		struct fixture_guest g = { 0 };
		struct err e = { 0 };

		memset(ram, 'x', 2 * PAGE_LEN);
		assert_int_equal(launch(p, &g.vm, ram, &e), 0);
		assert_int_equal(move(p, g.vm, ram, &e), i < 5 ? -EIO : 0);
		if (i < 5)
			assert_int_equal(fixture_state(&g), left_in[i]);
		sev_vm_free(g.vm);
		sev_platform_free(p);
	}
	free(ram);
}

static void the_wrapped_vm_looks_like_the_one_inside(void **state)
{
	struct sev_platform *inner = fixture_open(fixture_path(dir, "one"));
	struct sev_platform *p;
	struct sev_vm *plain, *vm;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_vm_new(inner, -1, -1, &plain, &e), 0);
	p = sev_fault_wrap(inner, UINT32_MAX, NULL);
	assert_int_equal(sev_vm_new(p, -1, -1, &vm, &e), 0);
	assert_int_equal(vm->cbit, plain->cbit);
	assert_true(vm->soft);
	assert_int_equal(vm->low_private_end.v, plain->low_private_end.v);
	assert_ptr_equal(vm->platform, p);
	sev_vm_free(plain);
	sev_vm_free(vm);
	sev_platform_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_breaks_once_with_eio_and_the_hardware_status),
		cmocka_unit_test(a_broken_call_did_not_happen),
		cmocka_unit_test(the_wrapped_vm_looks_like_the_one_inside),
	};

	return cmocka_run_group_tests_name("sev_fault", tests, setup, teardown);
}
