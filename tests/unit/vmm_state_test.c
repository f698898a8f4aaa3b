/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rdwr.h"
#include "vmm/state.h"

/* As in vmm/state.c; part of the format. */
#define HEAD_LEN 12u
#define TAG_HEAD 1u
#define TAG_MACHINE 2u
#define TAG_IRQCHIP 3u
#define TAG_SERIAL 6u
#define TAG_REGS 8u
#define TAG_XSAVE 10u
#define TAG_MSRS 12u
#define TAG_DEVICES 18u
#define TAG_ES 19u
#define TAG_LAST 19u
#define VCPUS 2u

static const uint8_t serial_bytes[] = "serial", ports_bytes[] = "ports",
		     devices_bytes[] = "devices";

static void fill(void *p, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)p)[i] = (uint8_t)rand_r(&seed);
}

static void sample(struct vmm_state *s)
{
	struct err e = { 0 };

	assert_int_equal(vmm_state_init(s, VCPUS, &e), 0);
	for (uint32_t i = 0; i < VCPUS; i++) {
		struct vmm_vcpu_state *v = &s->vcpu[i];

		fill(v, sizeof(*v), i + 1);
		v->xcrs.nr_xcrs = 1;
		v->xsave_len = 4096 + 8 * i;
		v->msr_len = 16 * (3 + i);
		for (uint32_t m = 0; m < 3 + i; m++)
			v->msr[m] = (struct kvm_msr_entry){ .index = 0x10 + m, .data = m };
	}
	fill(&s->pit, sizeof(s->pit), 11);
	fill(&s->clock, sizeof(s->clock), 12);
	for (uint32_t i = 0; i < 3; i++) {
		fill(&s->irqchip[i], sizeof(s->irqchip[i]), 20 + i);
		s->irqchip[i].chip_id = i;
	}
	s->machine[STATE_MACHINE_MIGRATION] = 1;
	s->machine[STATE_MACHINE_WRITTEN] = 1;
	s->machine[STATE_MACHINE_RAN] = 1;
	s->serial = (struct vmm_state_bytes){ serial_bytes, sizeof(serial_bytes) };
	s->ports = (struct vmm_state_bytes){ ports_bytes, sizeof(ports_bytes) };
	s->devices = (struct vmm_state_bytes){ devices_bytes, sizeof(devices_bytes) };
}

static void encode(struct buf *b)
{
	struct vmm_state s;
	struct err e = { 0 };

	sample(&s);
	assert_int_equal(vmm_state_put(&s, b, &e), 0);
	vmm_state_fini(&s);
}

static int decode(const uint8_t *p, size_t len, uint32_t vcpus, struct err *e)
{
	struct vmm_state s;
	int r;

	assert_int_equal(vmm_state_init(&s, vcpus, e), 0);
	r = vmm_state_get(p, len, &s, e);
	vmm_state_fini(&s);
	return r;
}

static void reads_back_what_was_written(void **state)
{
	auto_buf struct buf b = { 0 }, again = { 0 };
	struct vmm_state in, out;
	struct err e = { 0 };

	(void)state;
	sample(&in);
	assert_int_equal(vmm_state_put(&in, &b, &e), 0);
	assert_int_equal(vmm_state_init(&out, VCPUS, &e), 0);
	assert_int_equal(vmm_state_get(b.p, b.len, &out, &e), 0);
	assert_memory_equal(&in.vcpu[1].lapic, &out.vcpu[1].lapic, sizeof(in.vcpu[1].lapic));
	assert_memory_equal(&in.vcpu[0].regs, &out.vcpu[0].regs, sizeof(in.vcpu[0].regs));
	assert_memory_equal(in.vcpu[1].xsave, out.vcpu[1].xsave, in.vcpu[1].xsave_len);
	assert_int_equal(out.vcpu[1].xsave_len, 4104);
	assert_int_equal(out.vcpu[1].msr_len, 64);
	assert_memory_equal(in.irqchip, out.irqchip, sizeof(in.irqchip));
	assert_memory_equal(&in.clock, &out.clock, sizeof(in.clock));
	assert_int_equal(out.serial.len, sizeof(serial_bytes));
	assert_memory_equal(out.ports.p, ports_bytes, sizeof(ports_bytes));
	assert_memory_equal(out.devices.p, devices_bytes, sizeof(devices_bytes));
	assert_int_equal(vmm_state_put(&out, &again, &e), 0);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(again.p, b.p, b.len);
	vmm_state_fini(&in);
	vmm_state_fini(&out);
}

static void every_cut_is_refused(void **state)
{
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	encode(&b);
	for (size_t len = 0; len < b.len; len += len < 2000 || len > b.len - 2000 ? 1 : 97)
		assert_int_equal(decode(b.p, len, VCPUS, &e), -EPROTO);
	assert_int_equal(decode(b.p, b.len, VCPUS, &e), 0);
}

/* Offset of a record's header; index counts the records of that tag. */
static size_t find(const struct buf *b, uint16_t tag, uint32_t index, uint32_t *len)
{
	struct rd in = rd_of(b->p, b->len);
	uint16_t t, version;
	uint32_t i;

	while (in.len) {
		size_t at = b->len - in.len;

		rd_le16(&in, &t);
		rd_le16(&in, &version);
		rd_le32(&in, &i);
		rd_le32(&in, len);
		if (t == tag && i == index)
			return at;
		assert_int_equal(rd_skip(&in, *len), 0);
	}
	fail_msg("no record %u.%u", tag, index);
	return 0;
}

static void refuses(const struct buf *b, const char *why)
{
	struct err e = { 0 };

	assert_int_equal(decode(b->p, b->len, VCPUS, &e), -EPROTO);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
}

static void each_missing_record_is_named(void **state)
{
	(void)state;
	for (uint16_t tag = TAG_HEAD; tag <= TAG_LAST; tag++) {
		auto_buf struct buf b = { 0 };
		uint32_t len;
		size_t at;

		encode(&b);
		at = find(&b, tag, 0, &len);
		memmove(b.p + at, b.p + at + HEAD_LEN + len, b.len - at - HEAD_LEN - len);
		b.len -= HEAD_LEN + len;
		refuses(&b, tag == TAG_HEAD ? "head" : "missing");
	}
}

static void second_vcpu_without_registers_is_refused(void **state)
{
	auto_buf struct buf b = { 0 };
	uint32_t len;
	size_t at;

	(void)state;
	encode(&b);
	at = find(&b, TAG_REGS, 1, &len);
	memmove(b.p + at, b.p + at + HEAD_LEN + len, b.len - at - HEAD_LEN - len);
	b.len -= HEAD_LEN + len;
	refuses(&b, "regs of vCPU 1 missing");
}

static void each_twin_is_refused(void **state)
{
	(void)state;
	for (uint16_t tag = TAG_HEAD; tag <= TAG_LAST; tag++) {
		auto_buf struct buf b = { 0 }, twin = { 0 };
		struct err e = { 0 };
		uint32_t len;
		size_t at;

		encode(&b);
		at = find(&b, tag, 0, &len);
		assert_int_equal(buf_add(&twin, b.p + at, HEAD_LEN + len, &e), 0);
		assert_int_equal(buf_add(&b, twin.p, twin.len, &e), 0);
		refuses(&b, tag == TAG_HEAD ? "second head" : "twice");
	}
}

static void patched(uint16_t tag, uint32_t index, size_t off, uint8_t value, const char *why)
{
	auto_buf struct buf b = { 0 };
	uint32_t len;

	encode(&b);
	b.p[find(&b, tag, index, &len) + off] = value;
	refuses(&b, why);
}

/* What is in the VMSAs must be nowhere else, and nobody may bring it. */
static void state_of_an_es_guest_has_no_registers(void **state)
{
	static const uint8_t canary[8] = { 0x7a, 0x11, 0x5e, 0xc2, 0x3d, 0x90, 0x4b, 0xe6 };
	auto_buf struct buf b = { 0 };
	struct vmm_state s;
	struct err e = { 0 };

	(void)state;
	sample(&s);
	s.es[STATE_ES] = 1;
	s.es[STATE_ES_JUMP_TABLE] = 0x12345000;
	memcpy(&s.vcpu[1].regs.r12, canary, sizeof(canary));
	memcpy(s.vcpu[0].xsave + 160, canary, sizeof(canary));
	memcpy(&s.vcpu[0].debugregs.db[1], canary, sizeof(canary));
	assert_int_equal(vmm_state_put(&s, &b, &e), 0);
	assert_null(memmem(b.p, b.len, canary, sizeof(canary)));
	vmm_state_fini(&s);
	assert_int_equal(vmm_state_init(&s, VCPUS, &e), 0);
	assert_int_equal(vmm_state_get(b.p, b.len, &s, &e), 0);
	assert_int_equal(s.es[STATE_ES_JUMP_TABLE], 0x12345000);
	assert_int_equal(s.vcpu[1].regs.r12, 0);
	vmm_state_fini(&s);
	patched(TAG_ES, 0, HEAD_LEN, 1, "regs of vCPU 0 is not the monitor's");
}

static void wrong_tags_versions_indexes_and_flags_are_refused(void **state)
{
	(void)state;
	patched(TAG_REGS, 0, 0, TAG_LAST + 1, "unknown tag 20");
	patched(TAG_REGS, 0, 0, 0, "unknown tag 0");
	patched(TAG_REGS, 0, 2, 9, "version 9");
	patched(TAG_REGS, 1, 4, VCPUS, "regs of number 2, there are 2");
	patched(TAG_MACHINE, 0, 4, 1, "machine of number 1");
	patched(TAG_IRQCHIP, 2, 4, 3, "irqchip of number 3");
	patched(TAG_IRQCHIP, 2, 7, 1, "irqchip of number");
	patched(TAG_IRQCHIP, 1, HEAD_LEN, 2, "calls itself 2");
	patched(TAG_MACHINE, 0, HEAD_LEN, 2, "neither 0 nor 1");
	patched(TAG_MACHINE, 0, HEAD_LEN + 8, 3, "neither 0 nor 1");
	patched(TAG_ES, 0, HEAD_LEN + 1, 1, "is not the monitor's");
	patched(TAG_HEAD, 0, HEAD_LEN, 3, "of 3 vCPUs, this VM has 2");
	patched(TAG_MSRS, 0, HEAD_LEN + 16, 0x10, "out of order");
	patched(TAG_SERIAL, 0, 11, 0xff, "bytes");
}

/* A record of tag with n bytes more or less. */
static void resized(uint16_t tag, int by, const char *why)
{
	auto_buf struct buf b = { 0 }, out = { 0 };
	struct err e = { 0 };
	uint32_t len;
	size_t at;

	encode(&b);
	at = find(&b, tag, 0, &len);
	assert_int_equal(buf_add(&out, b.p, at + 8, &e), 0);
	assert_int_equal(buf_add_le32(&out, (uint32_t)((int)len + by), &e), 0);
	assert_int_equal(buf_add(&out, b.p + at + HEAD_LEN, by < 0 ? len - (uint32_t)-by : len, &e),
			 0);
	for (int i = 0; i < by; i++)
		assert_int_equal(buf_add(&out, "", 1, &e), 0);
	assert_int_equal(buf_add(&out, b.p + at + HEAD_LEN + len, b.len - at - HEAD_LEN - len, &e),
			 0);
	refuses(&out, why);
}

static void wrong_sizes_are_refused(void **state)
{
	(void)state;
	for (uint16_t tag = TAG_MACHINE; tag <= TAG_LAST; tag++) {
		if (tag == TAG_SERIAL || tag == TAG_SERIAL + 1 || tag == TAG_XSAVE ||
		    tag == TAG_DEVICES)
			continue; /* may have any length within bounds */
		resized(tag, 1, "bytes");
		resized(tag, -1, "bytes");
	}
	resized(TAG_XSAVE, -4000, "xsave of 96 bytes");
	resized(TAG_XSAVE, 13000, "xsave of 17096 bytes");
	resized(TAG_MSRS, 16 * 520, "msrs of");
	resized(TAG_MSRS, -48, "msrs of 0 bytes");
}

static void state_of_another_number_of_vcpus_is_refused(void **state)
{
	auto_buf struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	encode(&b);
	assert_int_equal(decode(b.p, b.len, 1, &e), -EPROTO);
	assert_int_equal(decode(b.p, b.len, 3, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "of 2 vCPUs, this VM has 3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_was_written),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(each_missing_record_is_named),
		cmocka_unit_test(second_vcpu_without_registers_is_refused),
		cmocka_unit_test(state_of_an_es_guest_has_no_registers),
		cmocka_unit_test(each_twin_is_refused),
		cmocka_unit_test(wrong_tags_versions_indexes_and_flags_are_refused),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(state_of_another_number_of_vcpus_is_refused),
	};

	return cmocka_run_group_tests_name("vmm_state", tests, NULL, NULL);
}
