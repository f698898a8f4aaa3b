/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"
#include "migrate/table.h"

/* The text between <!-- begin NAME table --> and its end in doc/PROTOCOL.md. */
static void documented(const char *name, char *out, size_t cap)
{
	auto_buf struct buf doc = { 0 };
	struct err e = { 0 };
	char mark[64];
	const char *begin, *end;

	if (fd_file_read(SOURCE_ROOT "/doc/PROTOCOL.md", 1u << 20, &doc, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(buf_add(&doc, "", 1, &e), 0);
	snprintf(mark, sizeof(mark), "<!-- begin %s table -->\n", name);
	begin = strstr((const char *)doc.p, mark);
	assert_non_null(begin);
	begin += strlen(mark);
	snprintf(mark, sizeof(mark), "<!-- end %s table -->", name);
	end = strstr(begin, mark);
	assert_non_null(end);
	assert_true((size_t)(end - begin) < cap);
	memcpy(out, begin, (size_t)(end - begin));
	out[end - begin] = 0;
}

static void same(const struct mig_table *t, const char *name)
{
	static char doc[16384], program[16384];

	documented(name, doc, sizeof(doc));
	assert_true(mig_table_print(t, program, sizeof(program)) < sizeof(program));
	assert_string_equal(doc, program);
}

static void the_targets_table_is_the_documented_one(void **state)
{
	(void)state;
	same(&mig_target_table, "target");
}

static void the_sources_table_is_the_documented_one(void **state)
{
	(void)state;
	same(&mig_source_table, "source");
}

static int answer;

static int handle(void *self, const struct chan_msg *m, struct err *e)
{
	(void)self;
	(void)m;
	return answer < 0 ? err_set(e, answer, "no") : answer;
}

static const char *const names[] = { "ONE", "TWO", "THREE" };
static const struct mig_step steps[3][STREAM_TYPES] = {
	[0] = { [STREAM_STATE] = { handle, 1, 2 } },
};
static const struct mig_table table = { 3, names, steps };

static void a_step_leads_where_the_table_says(void **state)
{
	const struct chan_msg m = { .type = STREAM_STATE };
	unsigned at;
	struct err e;

	(void)state;
	for (answer = 0; answer < 2; answer++) {
		at = 0;
		assert_int_equal(mig_table_step(&table, &at, NULL, &m, &e), 0);
		assert_int_equal(at, 1 + answer);
	}
	at = 0;
	answer = -EPROTO;
	assert_int_equal(mig_table_step(&table, &at, NULL, &m, &e), -EPROTO);
	assert_int_equal(at, 0);
}

static void an_empty_slot_names_state_and_message(void **state)
{
	struct chan_msg m = { .type = STREAM_COMMIT };
	unsigned at = 1;
	struct err e;

	(void)state;
	assert_int_equal(mig_table_step(&table, &at, NULL, &m, &e), -EPROTO);
	assert_string_equal(e.msg, "COMMIT is not due in state TWO");
	m.type = 4711;
	assert_int_equal(mig_table_step(&table, &at, NULL, &m, &e), -EPROTO);
	assert_string_equal(e.msg, "message of type 4711 in state TWO");
	m.type = 0;
	assert_int_equal(mig_table_step(&table, &at, NULL, &m, &e), -EPROTO);
}

static void only_what_the_secure_processor_sealed_has_a_body(void **state)
{
	static const struct mig_step any[1][STREAM_TYPES] = {
		[0] = { [1 ... STREAM_TYPES - 1] = { handle, 0, 0 } },
	};
	const struct mig_table all = { 1, names, any };
	struct err e;

	(void)state;
	answer = 0;
	for (uint32_t type = 1; type < STREAM_TYPES; type++) {
		const struct chan_msg m = { .type = type, .body_len = 1 };
		bool sealed = type == STREAM_PRIVATE_PAGES || type == STREAM_VMSA;
		unsigned at = 0;

		assert_int_equal(mig_table_step(&all, &at, NULL, &m, &e), sealed ? 0 : -EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_targets_table_is_the_documented_one),
		cmocka_unit_test(the_sources_table_is_the_documented_one),
		cmocka_unit_test(a_step_leads_where_the_table_says),
		cmocka_unit_test(an_empty_slot_names_state_and_message),
		cmocka_unit_test(only_what_the_secure_processor_sealed_has_a_body),
	};

	return cmocka_run_group_tests_name("migrate_table", tests, NULL, NULL);
}
