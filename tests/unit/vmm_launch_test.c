/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vmm_util.h"

#include "base/gpa.h"

static int setup(void **state)
{
	static struct util_place u;

	*state = &u;
	return util_open(&u);
}

static int teardown(void **state)
{
	util_close(*state);
	return 0;
}

/* An owner who answers as told: a return value, or a packet for an address. */
struct owner {
	int r;
	uint64_t at;
	uint8_t measurement[SEV_MEASURE_LEN];
};

static int owner_answer(void *ctx, const uint8_t measurement[SEV_MEASURE_LEN],
			struct vm_secret *out, struct err *e)
{
	static const uint8_t packet[16];
	struct owner *o = ctx;

	memcpy(o->measurement, measurement, sizeof(o->measurement));
	*out = (struct vm_secret){ .at = gpa(o->at), .packet = packet, .len = sizeof(packet) };
	return o->r < 0 ? err_set(e, o->r, "the owner says no") : o->r;
}

static int boot_asking(struct util_place *u, struct owner *o, struct err *e)
{
	static const uint8_t code[] = { 0xeb, 0xfe }; /* never run */
	struct vm_config cfg = {
		.name = "guest", .memory = 8u << 20, .vcpus = 1, .console_in = -1, .console_out = -1
	};
	struct vm *vm = NULL;
	char path[96];
	struct vm_boot boot = { .kernel = path, .secret = owner_answer, .secret_ctx = o };
	int r;

	util_kernel(u, code, sizeof(code), path);
	util_ok(vm_new(&cfg, u->platform, &vm, e), e);
	r = vm_boot(vm, &boot, e);
	if (vm_measurement(vm))
		assert_memory_equal(vm_measurement(vm), o->measurement, SEV_MEASURE_LEN);
	vm_free(vm);
	return r;
}

static void the_owner_is_asked_between_measurement_and_start(void **state)
{
	static const struct {
		struct owner o;
		int r;
		const char *why;
	} cases[] = {
		{ { .r = 1 }, 0, "" },
		{ { .r = -EACCES }, -EACCES, "the owner says no" },
		{ { .at = 1ull << 40 }, -EINVAL, "no RAM" },
		/* Made for another launch. */
		{ { .at = 0x5000 }, -EIO, "BAD_MEASUREMENT" },
	};
	struct util_place *u = *state;

	if (!u->platform)
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct owner o = cases[i].o;
		struct err e = { 0 };

		assert_int_equal(boot_asking(u, &o, &e), cases[i].r);
		assert_non_null(strstr(e.msg, cases[i].why));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(the_owner_is_asked_between_measurement_and_start),
	};

	return cmocka_run_group_tests_name("vmm_launch", tests, setup, teardown);
}
