/* SPDX-License-Identifier: Apache-2.0 */

/* The migration handler in real mirror VMs. */

#include "guest/handler/gcm.h"
#include "guest/handler/handler_path.h"
#include "tests/unit/handler_owner.h"

#define MEMORY (64u << 20)
#define PAGES HANDLER_BATCH

/* Page 0 among them, which is no pointer. */
#define AT(i) ((i) ? UTIL_ENTRY + (i)*PAGE_LEN : 0)

static uint32_t role_source = HANDLER_SOURCE, role_target = HANDLER_TARGET;

static struct mig_mirror *mirror(struct vm *vm, unsigned vcpus)
{
	struct mig_mirror *m = vm_migratable(vm)->handler;
	struct err e = { 0 };

	util_ok(m->ops->open(m, vcpus, &e), &e);
	return m;
}

static void answers_without_a_key(void **state)
{
	struct vm *vm = handler_vm(*state, HANDLER_BIN, 0, MEMORY);
	struct mig_mirror *m = mirror(vm, 1);
	uint8_t result[HANDLER_RESULT_LEN];
	struct err e = { 0 };

	util_ok(mig_handler_call(m, HANDLER_STATUS, NULL, 0, result, &e), &e);
	assert_int_equal(result[HANDLER_R_VERSION], HANDLER_VERSION);
	assert_true(result[HANDLER_R_CIPHER] == HANDLER_CIPHER_SSE ||
		    result[HANDLER_R_CIPHER] == HANDLER_CIPHER_VAES);
	assert_int_equal(mig_handler_call(m, HANDLER_INIT, &role_source, 4, result, &e), -EPERM);
	assert_non_null(strstr(e.msg, "NO_KEY"));
	m->ops->close(m);
	vm_free(vm);
}

static void start(struct mig_mirror *src, struct mig_mirror *dst)
{
	uint8_t a[HANDLER_RESULT_LEN], b[HANDLER_RESULT_LEN];
	struct err e = { 0 };

	util_ok(mig_handler_call(src, HANDLER_INIT, &role_source, 4, a, &e), &e);
	util_ok(mig_handler_call(dst, HANDLER_INIT, &role_target, 4, b, &e), &e);
	util_ok(mig_handler_call(src, HANDLER_START, b, HANDLER_NONCE_LEN, NULL, &e), &e);
	util_ok(mig_handler_call(dst, HANDLER_START, a, HANDLER_NONCE_LEN, NULL, &e), &e);
}

static void moves_private_pages_between_two_guests(void **state)
{
	struct vm *a = handler_vm(*state, HANDLER_BIN, HANDLER_F_MAY_SEND, MEMORY);
	struct vm *b = handler_vm(*state, HANDLER_BIN, HANDLER_F_MAY_RECEIVE, MEMORY);
	struct mig_mirror *src = mirror(a, 1), *dst = mirror(b, 1);
	struct mig_handler_page v[PAGES] = { 0 };
	uint8_t record[HANDLER_RESULT_LEN], da[32], db[32];
	struct err e = { 0 };

	start(src, dst);
	/* The kernel's page differs, as the guests are different launches only by what we do. */
	for (uint32_t i = 0; i < PAGES; i++)
		v[i] = (struct mig_handler_page){ .at = gpa(AT(i)), .offset = i * PAGE_LEN };
	util_ok(mig_handler_pages(src, 0, HANDLER_EXPORT, v, PAGES, &e), &e);
	for (uint32_t i = 0; i < PAGES; i++)
		assert_int_equal(v[i].epoch, i + 1);
	memcpy(dst->window, src->window, PAGES * PAGE_LEN);
	util_ok(mig_handler_pages(dst, 0, HANDLER_IMPORT, v, PAGES, &e), &e);
	util_ok(sev_vm_debug_digest(vm_migratable(a)->sev, v[0].at, da, &e), &e);
	util_ok(sev_vm_debug_digest(vm_migratable(b)->sev, v[0].at, db, &e), &e);
	assert_memory_equal(da, db, sizeof(da));
	util_ok(mig_handler_call(src, HANDLER_MANIFEST, NULL, 0, record, &e), &e);
	util_ok(mig_handler_call(dst, HANDLER_VERIFY, record, HANDLER_RECORD_LEN, record, &e), &e);
	util_ok(mig_handler_call(src, HANDLER_SEAL, record, HANDLER_RECORD_LEN, record, &e), &e);
	util_ok(mig_handler_call(dst, HANDLER_RELEASE, record, HANDLER_RECORD_LEN, NULL, &e), &e);
	/* What it knows outlasts the mirror. */
	src->ops->close(src);
	util_ok(src->ops->open(src, 1, &e), &e);
	assert_int_equal(mig_handler_call(src, HANDLER_INIT, &role_source, 4, NULL, &e), -EPERM);
	assert_non_null(strstr(e.msg, "SEALED"));
	vm_free(a);
	vm_free(b);
}

static struct util_place place;

static int group_begin(void **state)
{
	*state = &place;
	return util_open(&place);
}

static int group_end(void **state)
{
	(void)state;
	util_close(&place);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		util_test(answers_without_a_key),
		util_test(moves_private_pages_between_two_guests),
	};

	return cmocka_run_group_tests(tests, group_begin, group_end);
}
