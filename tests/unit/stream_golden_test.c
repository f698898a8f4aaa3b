/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tests/golden/stream/NAME.bin is the head of each message of version 1, for ever: what this
 * program encodes is the same bytes, and what it decodes from them the same values. A file that is
 * missing is written when SEVMIG_GOLDEN_WRITE is set; one that is there never is.
 */

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
#include "stream/end.h"
#include "stream/hello.h"
#include "stream/list.h"
#include "stream/manifest.h"
#include "stream/pages.h"
#include "stream/start.h"
#include "stream/state.h"
#include "stream/verdict.h"
#include "stream/vmsa.h"

static uint8_t space[STREAM_HEAD_MAX];
static uint8_t bytes[STREAM_BODY_MAX];
static const struct stream_bounds bounds = {
	.nram = 2,
	.ram = { { 0, 0x800000 }, { 0x100000000ull, 0x400000 } },
	.private_below = 0x100000,
};

static void fill(uint8_t *p, size_t n, uint8_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(seed + i * 7);
}

static void golden(const char *name, const struct wr *made, struct buf *out)
{
	char path[512];
	struct err e = { 0 };

	snprintf(path, sizeof(path), SOURCE_ROOT "/tests/golden/stream/%s.bin", name);
	if (fd_file_read(path, STREAM_HEAD_MAX, out, &e) < 0) {
		if (!getenv("SEVMIG_GOLDEN_WRITE"))
			fail_msg("%s", e.msg);
		assert_int_equal(fd_file_replace(path, made->p, made->len, 0644, &e), 0);
		assert_int_equal(fd_file_read(path, STREAM_HEAD_MAX, out, &e), 0);
	}
	assert_int_equal(out->len, made->len);
	assert_memory_equal(out->p, made->p, made->len);
}

static struct wr fresh(void)
{
	fill(bytes, sizeof(bytes), 3);
	return wr_of(space, sizeof(space));
}

static void keeps_hello(void **state)
{
	struct stream_hello m = { 1, 1, STREAM_ROLE_RESUME, 0x8000000000000001ull, { 0 } }, got;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(m.id, sizeof(m.id), 9);
	assert_int_equal(stream_hello_put(&out, &m, &e), 0);
	golden("hello", &out, &b);
	assert_int_equal(stream_hello_get(b.p, b.len, &got, &e), 0);
	assert_memory_equal(&got, &m, sizeof(m));
}

static void keeps_hello_reply(void **state)
{
	struct stream_hello_reply got, m = { .version = 1,
					     .api_major = 1,
					     .api_minor = 55,
					     .build = 21,
					     .capabilities = 5,
					     .pdh = bytes,
					     .plat = bytes + 100,
					     .amd = bytes + 200,
					     .amd_len = STREAM_AMD_LEN };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(stream_hello_reply_put(&out, &m, &e), 0);
	golden("hello_reply", &out, &b);
	assert_int_equal(stream_hello_reply_get(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.api_minor, 55);
	assert_int_equal(got.build, 21);
	assert_int_equal(got.capabilities, 5);
	assert_memory_equal(got.pdh, bytes, STREAM_CERT_LEN);
	assert_memory_equal(got.plat, bytes + 100, STREAM_PLAT_LEN);
	assert_memory_equal(got.amd, bytes + 200, STREAM_AMD_LEN);
}

static void keeps_start(void **state)
{
	const struct stream_prefault f[2] = { { 0x1000, 3, true }, { 0x100000000ull, 1, false } };
	uint8_t entries[2 * STREAM_PREFAULT_LEN];
	struct wr pre = wr_of(entries, sizeof(entries)), out = fresh();
	struct stream_start got, m = { .policy = 0x1000005,
				       .vcpus = 2,
				       .cbit = 47,
				       .name = "golden",
				       .session = bytes,
				       .pdh = bytes + 50,
				       .ram = bounds,
				       .machine = bytes + 9,
				       .machine_len = 99,
				       .prefault = rd_of(entries, sizeof(entries)),
				       .nprefault = 2 };
	struct stream_prefault p;
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(stream_prefault_put(&pre, &f[i], &e), 0);
	assert_int_equal(stream_start_put(&out, &m, &e), 0);
	golden("start", &out, &b);
	assert_int_equal(stream_start_get(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.policy, m.policy);
	assert_int_equal(got.vcpus, 2);
	assert_int_equal(got.cbit, 47);
	assert_string_equal(got.name, "golden");
	assert_memory_equal(got.session, bytes, STREAM_SESSION_LEN);
	assert_memory_equal(got.pdh, bytes + 50, STREAM_CERT_LEN);
	assert_int_equal(got.ram.nram, 2);
	assert_memory_equal(got.ram.ram, bounds.ram, sizeof(bounds.ram));
	assert_memory_equal(got.machine, bytes + 9, 99);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(stream_prefault_next(&got, &p));
		assert_int_equal(p.at, f[i].at);
		assert_int_equal(p.pages, f[i].pages);
		assert_int_equal(p.is_private, f[i].is_private);
	}
	assert_false(stream_prefault_next(&got, &p));
}

static void keeps_a_question(void **state)
{
	struct stream_hello m = { 1, 1, STREAM_ROLE_ASK, 0, { 0 } }, got;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(m.id, sizeof(m.id), 5);
	assert_int_equal(stream_hello_put(&out, &m, &e), 0);
	golden("hello_ask", &out, &b);
	assert_int_equal(stream_hello_get(b.p, b.len, &got, &e), 0);
	assert_memory_equal(&got, &m, sizeof(m));
}

static void keeps_verdict(void **state)
{
	struct lines m = { 0 }, got;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	lines_add(&m, "2 vCPUs there, 1 here");
	lines_add(&m, "TSC runs at 2000000 kHz there, 3000000 kHz here");
	assert_int_equal(stream_verdict_put(&out, &m, &e), 0);
	golden("verdict", &out, &b);
	assert_int_equal(stream_verdict_get(b.p, b.len, &got, &e), 0);
	assert_memory_equal(&got, &m, sizeof(m));
}

static void keeps_private_pages(void **state)
{
	struct stream_private_entry v[2] = { { { 0x1000 }, PAGE_LEN, { 0 }, NULL },
					     { { 0x100001000ull }, PAGE_LEN, { 0 }, NULL } };
	struct stream_private_entry got;
	struct stream_private m;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(v[0].hdr, sizeof(v[0].hdr), 1);
	fill(v[1].hdr, sizeof(v[1].hdr), 2);
	assert_int_equal(stream_private_put(&out, 7, v, 2, &e), 0);
	golden("private_pages", &out, &b);
	assert_int_equal(stream_private_get(b.p, b.len, bytes, 8192, &bounds, &m, &e), 0);
	assert_int_equal(m.pass, 7);
	assert_int_equal(m.count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(stream_private_next(&m, &got));
		assert_int_equal(got.at.v, v[i].at.v);
		assert_int_equal(got.len, PAGE_LEN);
		assert_memory_equal(got.hdr, v[i].hdr, sizeof(got.hdr));
		assert_ptr_equal(got.packet, bytes + i * PAGE_LEN);
	}
	assert_false(stream_private_next(&m, &got));
}

static void keeps_shared_pages(void **state)
{
	const struct stream_shared_entry v[3] = { { { 0x100000 }, bytes },
						  { { 0x101000 }, NULL },
						  { { 0x100000000ull }, bytes + 77 } };
	struct stream_shared_entry got;
	struct stream_shared m;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(stream_shared_put(&out, 2, v, 3, &e), 0);
	golden("shared_pages", &out, &b);
	assert_int_equal(stream_shared_get(b.p, b.len, &bounds, &m, &e), 0);
	assert_int_equal(m.pass, 2);
	assert_int_equal(m.zeros, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(stream_shared_next(&m, &got));
		assert_int_equal(got.at.v, v[i].at.v);
		assert_int_equal(!got.data, !v[i].data);
		if (got.data)
			assert_memory_equal(got.data, v[i].data, PAGE_LEN);
	}
	assert_false(stream_shared_next(&m, &got));
}

static void keeps_pass(void **state)
{
	struct stream_pass got, m = { 3, true, 10, 20, 30, 40 };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(stream_pass_put(&out, &m, &e), 0);
	golden("pass", &out, &b);
	assert_int_equal(stream_pass_get(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.pass, 3);
	assert_true(got.final);
	assert_int_equal(got.pages, 10);
	assert_int_equal(got.private_sent, 20);
	assert_int_equal(got.shared_sent, 30);
	assert_int_equal(got.zero_sent, 40);
}

static void keeps_shared_list(void **state)
{
	const struct range v[2] = { { 5, 9 }, { 0x100000, 0x100002 } };
	struct stream_list m;
	struct range got;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(stream_list_put(&out, v, 2, true, &e), 0);
	golden("shared_list", &out, &b);
	assert_int_equal(stream_list_get(b.p, b.len, &bounds, 0, &m, &e), 0);
	assert_true(m.last);
	assert_int_equal(m.end, 0x100002);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(stream_list_next(&m, &got));
		assert_memory_equal(&got, &v[i], sizeof(got));
	}
	assert_false(stream_list_next(&m, &got));
}

static void keeps_state(void **state)
{
	struct stream_state got, m = { .total = 300, .offset = 200, .data = bytes, .len = 100 };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(stream_state_put(&out, &m, &e), 0);
	golden("state", &out, &b);
	assert_int_equal(stream_state_get(b.p, b.len, 200, 300, &got, &e), 0);
	assert_true(got.last);
	assert_int_equal(got.len, 100);
	assert_memory_equal(got.data, bytes, 100);
}

static void keeps_end(void **state)
{
	struct stream_end got, m = { 1, 2, 3, 4, { 0 } };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(m.digest, sizeof(m.digest), 0x40);
	assert_int_equal(stream_end_put(&out, &m, &e), 0);
	golden("end", &out, &b);
	assert_int_equal(stream_end_get(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.private_sent, 1);
	assert_int_equal(got.shared_sent, 2);
	assert_int_equal(got.zero_sent, 3);
	assert_int_equal(got.passes, 4);
	assert_memory_equal(got.digest, m.digest, sizeof(m.digest));
}

static void keeps_ready(void **state)
{
	struct stream_ready got, m;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(m.digest, sizeof(m.digest), 0x50);
	assert_int_equal(stream_ready_put(&out, &m, &e), 0);
	golden("ready", &out, &b);
	assert_int_equal(stream_ready_get(b.p, b.len, &got, &e), 0);
	assert_memory_equal(&got, &m, sizeof(m));
}

static void keeps_commit_running_done_and_query(void **state)
{
	static const struct {
		uint32_t type;
		const char *name;
	} v[] = { { STREAM_COMMIT, "commit" },
		  { STREAM_RUNNING, "running" },
		  { STREAM_DONE, "done" },
		  { STREAM_QUERY, "query" } };
	struct stream_id got, m;
	struct err e;

	(void)state;
	fill(m.id, sizeof(m.id), 0x60);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct wr out = fresh();
		auto_buf struct buf b = { 0 };

		assert_int_equal(stream_id_put(&out, v[i].type, &m, &e), 0);
		golden(v[i].name, &out, &b);
		assert_int_equal(stream_id_get(b.p, b.len, v[i].type, &got, &e), 0);
		assert_memory_equal(&got, &m, sizeof(m));
	}
}

static void keeps_answer(void **state)
{
	struct stream_answer got, m = { .phase = STREAM_PHASE_RUNNING };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(m.id, sizeof(m.id), 0x70);
	assert_int_equal(stream_answer_put(&out, &m, &e), 0);
	golden("answer", &out, &b);
	assert_int_equal(stream_answer_get(b.p, b.len, &got, &e), 0);
	assert_memory_equal(&got, &m, sizeof(m));
}

static void keeps_abort(void **state)
{
	struct stream_abort got;
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(stream_abort_put(&out, STREAM_ABORT_REFUSED, "vcpus: 2, here 1", &e), 0);
	golden("abort", &out, &b);
	assert_int_equal(stream_abort_get(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.code, STREAM_ABORT_REFUSED);
	assert_string_equal(got.reason, "vcpus: 2, here 1");
}

static void keeps_vmsa(void **state)
{
	struct stream_vmsa got, m = { .vcpu = 0x01020304 };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(m.hdr, sizeof(m.hdr), 5);
	assert_int_equal(stream_vmsa_put(&out, &m, &e), 0);
	golden("vmsa", &out, &b);
	assert_int_equal(stream_vmsa_get(b.p, b.len, bytes, STREAM_VMSA_LEN, 0x01020304, 0x01020305,
					 &got, &e),
			 0);
	assert_int_equal(got.vcpu, m.vcpu);
	assert_memory_equal(got.hdr, m.hdr, sizeof(m.hdr));
	assert_ptr_equal(got.packet, bytes);
}

static void keeps_manifest(void **state)
{
	struct stream_manifest got, m = { .proof = STREAM_PROOF_RECEIPT };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	fill(m.record, sizeof(m.record), 3);
	assert_int_equal(stream_manifest_put(&out, &m, &e), 0);
	golden("manifest", &out, &b);
	assert_int_equal(stream_manifest_get(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.proof, STREAM_PROOF_RECEIPT);
	assert_memory_equal(got.record, m.record, sizeof(m.record));
}

static void keeps_hello_reply_of_a_handler(void **state)
{
	struct stream_hello_reply got, m = { .version = 1, .nonce = bytes + 7 };
	struct wr out = fresh();
	auto_buf struct buf b = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(stream_hello_reply_put(&out, &m, &e), 0);
	golden("hello_reply_handler", &out, &b);
	assert_int_equal(stream_hello_reply_get(b.p, b.len, &got, &e), 0);
	assert_int_equal(got.capabilities, STREAM_CAP_HANDLER);
	assert_memory_equal(got.nonce, m.nonce, STREAM_NONCE_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_hello),
		cmocka_unit_test(keeps_hello_reply),
		cmocka_unit_test(keeps_hello_reply_of_a_handler),
		cmocka_unit_test(keeps_manifest),
		cmocka_unit_test(keeps_start),
		cmocka_unit_test(keeps_a_question),
		cmocka_unit_test(keeps_verdict),
		cmocka_unit_test(keeps_private_pages),
		cmocka_unit_test(keeps_shared_pages),
		cmocka_unit_test(keeps_pass),
		cmocka_unit_test(keeps_shared_list),
		cmocka_unit_test(keeps_state),
		cmocka_unit_test(keeps_end),
		cmocka_unit_test(keeps_ready),
		cmocka_unit_test(keeps_commit_running_done_and_query),
		cmocka_unit_test(keeps_answer),
		cmocka_unit_test(keeps_abort),
		cmocka_unit_test(keeps_vmsa),
	};

	return cmocka_run_group_tests_name("stream_golden", tests, NULL, NULL);
}
