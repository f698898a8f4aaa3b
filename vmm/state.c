/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rdwr.h"

#define STATE_VERSION 1u
#define RECORD_HEAD_LEN 12u

enum {
	TAG_NONE,
	TAG_HEAD,
	TAG_MACHINE,
	TAG_IRQCHIP,
	TAG_PIT,
	TAG_CLOCK,
	TAG_SERIAL,
	TAG_PORTS,
	TAG_REGS,
	TAG_SREGS,
	TAG_XSAVE,
	TAG_XCRS,
	TAG_MSRS,
	TAG_LAPIC,
	TAG_EVENTS,
	TAG_MP_STATE,
	TAG_DEBUGREGS,
	TAG_EXTRA,
	TAG_DEVICES,
	TAG_ES,
	TAG_N
};

enum record_of { OF_HEAD, OF_VM, OF_CHIP, OF_VCPU };
enum record_kind {
	KIND_FIXED, /* len is max exactly */
	KIND_SIZED, /* min to max, a multiple of unit; the length goes to len_at */
	KIND_SPAN,  /* borrowed */
};

/* What a tag holds and where that lies in struct vmm_state or struct vmm_vcpu_state. */
struct record {
	const char *name;
	enum record_of of;
	enum record_kind kind;
	uint32_t min, max, unit;
	size_t at, len_at;
};

#define VM_FIXED(n, m)                                                                             \
	{                                                                                          \
		n, OF_VM, KIND_FIXED, 0, sizeof(((struct vmm_state *)0)->m), 1,                    \
			offsetof(struct vmm_state, m), 0                                           \
	}
#define VM_SPAN(n, m)                                                                              \
	{                                                                                          \
		n, OF_VM, KIND_SPAN, 0, STATE_BLOB_MAX, 1, offsetof(struct vmm_state, m), 0        \
	}
#define VCPU_FIXED(n, m)                                                                           \
	{                                                                                          \
		n, OF_VCPU, KIND_FIXED, 0, sizeof(((struct vmm_vcpu_state *)0)->m), 1,             \
			offsetof(struct vmm_vcpu_state, m), 0                                      \
	}
#define VCPU_SIZED(n, m, min, unit)                                                                \
	{                                                                                          \
		n, OF_VCPU, KIND_SIZED, min, sizeof(((struct vmm_vcpu_state *)0)->m), unit,        \
			offsetof(struct vmm_vcpu_state, m),                                        \
			offsetof(struct vmm_vcpu_state, m##_len)                                   \
	}

static const struct record records[TAG_N] = {
	[TAG_HEAD] = { "head", OF_HEAD, KIND_FIXED, 0, 4, 1, 0, 0 },
	[TAG_MACHINE] = VM_FIXED("machine", machine),
	[TAG_IRQCHIP] = { "irqchip", OF_CHIP, KIND_FIXED, 0, sizeof(struct kvm_irqchip), 1,
			  offsetof(struct vmm_state, irqchip), 0 },
	[TAG_PIT] = VM_FIXED("pit", pit),
	[TAG_CLOCK] = VM_FIXED("clock", clock),
	[TAG_SERIAL] = VM_SPAN("serial", serial),
	[TAG_PORTS] = VM_SPAN("ports", ports),
	[TAG_REGS] = VCPU_FIXED("regs", regs),
	[TAG_SREGS] = VCPU_FIXED("sregs", sregs),
	[TAG_XSAVE] = VCPU_SIZED("xsave", xsave, 576, 1),
	[TAG_XCRS] = VCPU_FIXED("xcrs", xcrs),
	[TAG_MSRS] = VCPU_SIZED("msrs", msr, 16, 16),
	[TAG_LAPIC] = VCPU_FIXED("lapic", lapic),
	[TAG_EVENTS] = VCPU_FIXED("events", events),
	[TAG_MP_STATE] = VCPU_FIXED("mp_state", mp_state),
	[TAG_DEBUGREGS] = VCPU_FIXED("debugregs", debugregs),
	[TAG_EXTRA] = VCPU_FIXED("extra", extra),
	[TAG_DEVICES] = VM_SPAN("devices", devices),
	[TAG_ES] = VM_FIXED("es", es),
};

/* In the VMSAs of an SEV-ES guest, and nowhere else. */
#define TAGS_HIDDEN (1u << TAG_REGS | 1u << TAG_XSAVE | 1u << TAG_XCRS | 1u << TAG_DEBUGREGS)

_Static_assert(sizeof(struct kvm_msr_entry) == 16, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_regs) == 144, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_sregs) == 312, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_vcpu_events) == 64, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_debugregs) == 128, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_irqchip) == 520, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_pit_state2) == 112, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_clock_data) == 48, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_xcrs) == 392, "a record of Linux's ABI");
_Static_assert(sizeof(struct kvm_lapic_state) == 1024, "a record of Linux's ABI");
_Static_assert(TAG_N <= 32, "a bit each");

int vmm_state_init(struct vmm_state *s, uint32_t nvcpu, struct err *e)
{
	*s = (struct vmm_state){ .nvcpu = nvcpu };
	s->vcpu = calloc(nvcpu, sizeof(*s->vcpu));
	return s->vcpu ? 0 : err_set(e, -ENOMEM, "state: %m");
}

void vmm_state_fini(struct vmm_state *s)
{
	free(s->vcpu);
	s->vcpu = NULL;
}

/* --- encode --------------------------------------------------------------------------------- */

static int record_put(struct buf *out, uint16_t tag, uint32_t index, const void *p, uint32_t len,
		      struct err *e)
{
	int r = buf_add_le32(out, tag | STATE_VERSION << 16, e);

	r = r ? r : buf_add_le32(out, index, e);
	r = r ? r : buf_add_le32(out, len, e);
	return r ? r : buf_add(out, p, len, e);
}

static int member_put(struct buf *out, uint16_t tag, uint32_t index, const uint8_t *base,
		      struct err *e)
{
	const struct record *d = &records[tag];
	const uint8_t *p = base + d->at;
	uint32_t len = d->max;

	if (d->kind == KIND_SIZED)
		memcpy(&len, base + d->len_at, sizeof(len));
	if (d->kind == KIND_SPAN) {
		struct vmm_state_bytes b;

		memcpy(&b, p, sizeof(b));
		p = b.p;
		len = b.len;
	}
	if (d->of == OF_CHIP)
		p += index * d->max;
	return record_put(out, tag, index, p, len, e);
}

static bool record_wanted(const struct vmm_state *s, uint16_t tag)
{
	return !(s->es[STATE_ES] && (TAGS_HIDDEN & 1u << tag));
}

int vmm_state_put(const struct vmm_state *s, struct buf *out, struct err *e)
{
	uint8_t head[4];
	struct wr w = wr_of(head, sizeof(head));
	int r;

	wr_le32(&w, s->nvcpu);
	r = record_put(out, TAG_HEAD, 0, head, sizeof(head), e);
	for (uint16_t tag = TAG_HEAD + 1; !r && tag < TAG_N; tag++) {
		enum record_of of = records[tag].of;
		uint32_t n = of == OF_VCPU ? s->nvcpu : of == OF_CHIP ? 3 : 1;

		for (uint32_t i = 0; !r && i < n && record_wanted(s, tag); i++)
			r = member_put(out, tag, i,
				       of == OF_VCPU ? (const uint8_t *)&s->vcpu[i]
						     : (const uint8_t *)s,
				       e);
	}
	return r;
}

/* --- decode --------------------------------------------------------------------------------- */

struct record_in {
	uint16_t tag, version;
	uint32_t index, len;
	const uint8_t *p;
};

static int record_get(struct rd *in, struct record_in *out, struct err *e)
{
	rd_le16(in, &out->tag);
	rd_le16(in, &out->version);
	rd_le32(in, &out->index);
	if (rd_le32(in, &out->len))
		return err_set(e, -EPROTO, "state: record header cut short");
	if (rd_span(in, &out->p, out->len))
		return err_set(e, -EPROTO, "state: record of tag %u says %u bytes, %zu are left",
			       out->tag, out->len, in->len);
	if (!out->tag || out->tag >= TAG_N)
		return err_set(e, -EPROTO, "state: unknown tag %u", out->tag);
	if (out->version != STATE_VERSION)
		return err_set(e, -EPROTO, "state: %s has version %u, this side knows %u",
			       records[out->tag].name, out->version, STATE_VERSION);
	return 0;
}

static int record_check_len(const struct record *d, const struct record_in *in, struct err *e)
{
	uint32_t min = d->kind == KIND_FIXED ? d->max : d->min;

	if (in->len < min || in->len > d->max || in->len % d->unit)
		return err_set(e, -EPROTO, "state: %s of %u bytes, %u to %u expected", d->name,
			       in->len, min, d->max);
	return 0;
}

/* Which object the record belongs to; marks it as seen there. */
static int record_place(struct vmm_state *s, const struct record *d, const struct record_in *in,
			uint8_t **base, struct err *e)
{
	uint32_t n = d->of == OF_VCPU ? s->nvcpu : d->of == OF_CHIP ? 3 : 1;
	uint32_t bit = d->of == OF_CHIP ? 1u << in->index % 32 : 1u << in->tag;
	uint32_t *seen = &s->seen;

	if (in->index >= n)
		return err_set(e, -EPROTO, "state: %s of number %u, there are %u", d->name,
			       in->index, n);
	*base = (uint8_t *)s;
	if (d->of == OF_CHIP)
		seen = &s->seen_chips;
	if (d->of == OF_VCPU) {
		seen = &s->vcpu[in->index].seen;
		*base = (uint8_t *)&s->vcpu[in->index];
	}
	if (*seen & bit)
		return err_set(e, -EPROTO, "state: %s of number %u is there twice", d->name,
			       in->index);
	*seen |= bit;
	return 0;
}

static int record_take(struct vmm_state *s, const struct record_in *in, struct err *e)
{
	const struct record *d = &records[in->tag];
	uint8_t *base = NULL;
	int r = record_check_len(d, in, e);

	if (!r)
		r = record_place(s, d, in, &base, e);
	if (r)
		return r;
	if (d->kind == KIND_SPAN) {
		const struct vmm_state_bytes b = { in->p, in->len };

		memcpy(base + d->at, &b, sizeof(b));
		return 0;
	}
	if (d->kind == KIND_SIZED)
		memcpy(base + d->len_at, &in->len, sizeof(in->len));
	memcpy(base + d->at + (d->of == OF_CHIP ? in->index * d->max : 0), in->p, in->len);
	return 0;
}

static int state_head(struct rd *in, const struct vmm_state *s, struct err *e)
{
	struct record_in rec;
	uint32_t nvcpu = 0;
	struct rd body;
	int r = record_get(in, &rec, e);

	if (r < 0)
		return r;
	body = rd_of(rec.p, rec.len);
	if (rec.tag != TAG_HEAD || rd_le32(&body, &nvcpu) || !rd_done(&body))
		return err_set(e, -EPROTO, "state: does not begin with its head");
	if (nvcpu != s->nvcpu)
		return err_set(e, -EPROTO, "state: of %u vCPUs, this VM has %u", nvcpu, s->nvcpu);
	return 0;
}

static int state_complete(const struct vmm_state *s, struct err *e)
{
	for (uint16_t tag = TAG_HEAD + 1; tag < TAG_N; tag++) {
		enum record_of of = records[tag].of;

		if (of == OF_CHIP && s->seen_chips != 7)
			return err_set(e, -EPROTO, "state: %s missing", records[tag].name);
		if (of == OF_VM && !(s->seen & 1u << tag))
			return err_set(e, -EPROTO, "state: %s missing", records[tag].name);
		for (uint32_t i = 0; of == OF_VCPU && i < s->nvcpu; i++)
			if (!(s->vcpu[i].seen & 1u << tag) == record_wanted(s, tag))
				return err_set(
					e, -EPROTO, "state: %s of vCPU %u %s", records[tag].name, i,
					record_wanted(s, tag) ? "missing" : "is not the monitor's");
	}
	return 0;
}

/* What KVM would not refuse, or would take for something else. */
static int state_sane(const struct vmm_state *s, struct err *e)
{
	for (uint32_t i = 0; i < 3; i++)
		if (s->irqchip[i].chip_id != i)
			return err_set(e, -EPROTO, "state: interrupt controller %u calls itself %u",
				       i, s->irqchip[i].chip_id);
	if (s->machine[STATE_MACHINE_MIGRATION] > 1 || s->machine[STATE_MACHINE_WRITTEN] > 1 ||
	    s->machine[STATE_MACHINE_RAN] > 1)
		return err_set(e, -EPROTO, "state: machine flags are neither 0 nor 1");
	if (s->es[STATE_ES] > 1)
		return err_set(e, -EPROTO, "state: an SEV-ES guest or not, it says %llu",
			       (unsigned long long)s->es[STATE_ES]);
	for (uint32_t i = 0; i < s->nvcpu; i++) {
		const struct vmm_vcpu_state *v = &s->vcpu[i];

		if (v->xcrs.nr_xcrs > KVM_MAX_XCRS)
			return err_set(e, -EPROTO, "state: vCPU %u has %u XCRs", i,
				       v->xcrs.nr_xcrs);
		for (uint32_t m = 1; m < v->msr_len / sizeof(v->msr[0]); m++)
			if (v->msr[m].index <= v->msr[m - 1].index)
				return err_set(e, -EPROTO, "state: vCPU %u: MSR %#x out of order",
					       i, v->msr[m].index);
	}
	return 0;
}

int vmm_state_get(const uint8_t *p, size_t len, struct vmm_state *s, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct record_in rec;
	int r = state_head(&in, s, e);

	while (!r && in.len) {
		r = record_get(&in, &rec, e);
		if (!r && rec.tag == TAG_HEAD)
			r = err_set(e, -EPROTO, "state: a second head");
		if (!r)
			r = record_take(s, &rec, e);
	}
	if (!r)
		r = state_complete(s, e);
	return r ? r : state_sane(s, e);
}
