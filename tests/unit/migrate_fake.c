/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/migrate_fake.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "abi/psp.h"
#include "sev/soft_vm.h"
#include "tests/unit/sev_fixture.h"

#define LOW_FRAMES (FAKE_LOW / PAGE_LEN)
#define HIGH_FRAMES (FAKE_HIGH / PAGE_LEN)
#define HIGH_FRAME (FAKE_HIGH_AT / PAGE_LEN)
#define ALWAYS_PRIVATE 256u
#define STEP_EVERY 8u /* SEND_UPDATE_DATA commands */

static char dir[64];
struct sev_platform *fake_platform[2];

int fake_group_setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "%s", fixture_dir_new());
	fixture_init(fixture_path(dir, "0"), NULL, NULL);
	fixture_init(fixture_path(dir, "1"), fixture_path(dir, "0"), NULL);
	fake_platform[0] = fake_platform_open(0);
	fake_platform[1] = fake_platform_open(1);
	return 0;
}

int fake_group_teardown(void **state)
{
	(void)state;
	sev_platform_free(fake_platform[0]);
	sev_platform_free(fake_platform[1]);
	fixture_dir_remove(dir);
	return 0;
}

struct sev_platform *fake_platform_open(unsigned which)
{
	return fixture_open(fixture_path(dir, which ? "1" : "0"));
}

/* --- the guest ------------------------------------------------------------------------------- */

static uint64_t rnd(struct fake_vm *vm, uint64_t below)
{
	vm->rnd ^= vm->rnd << 13;
	vm->rnd ^= vm->rnd >> 7;
	vm->rnd ^= vm->rnd << 17;
	return (vm->rnd >> 11) % below;
}

static uint64_t any_frame(struct fake_vm *vm)
{
	uint64_t n = rnd(vm, 96); /* a working set: most of RAM is never touched */

	return n < 16   ? n * 5                         /* always private */
	       : n < 64 ? ALWAYS_PRIVATE + (n - 16) * 7 /* scattered */
			: HIGH_FRAME + (n - 64);        /* together */
}

uint8_t *fake_page(struct fake_vm *vm, uint64_t frame, bool shared)
{
	uint8_t *face = frame < LOW_FRAMES ? vm->low + frame * PAGE_LEN
					   : vm->high + (frame - HIGH_FRAME) * PAGE_LEN;

	return shared ? face
		      : soft_mem_private((struct soft_vm *)vm->inner, (uintptr_t)face, PAGE_LEN);
}

static bool is_shared(struct fake_vm *vm, uint64_t frame)
{
	return frame >= ALWAYS_PRIVATE && ranges_has(&vm->shared, frame);
}

static void mark(struct fake_vm *vm, uint64_t frame)
{
	if (vm->log_on)
		vm->dirty[frame / 64] |= 1ull << frame % 64;
}

void fake_write(struct fake_vm *vm, uint64_t frame, uint8_t v)
{
	uint8_t *p = fake_page(vm, frame, is_shared(vm, frame));

	for (unsigned i = 0; i < PAGE_LEN; i += 64)
		p[i] = v;
	mark(vm, frame);
}

void fake_convert(struct fake_vm *vm, uint64_t frame, uint64_t n, bool shared)
{
	struct err e;

	assert_int_equal(shared ? ranges_add(&vm->shared, frame, frame + n, &e)
				: ranges_remove(&vm->shared, frame, frame + n, &e),
			 0);
	for (uint64_t i = 0; i < n; i++) /* changed, whether it will be written or not */
		mark(vm, frame + i);
}

void fake_step(struct fake_vm *vm)
{
	if (!vm->running || vm->frozen)
		return;
	vm->steps++;
	for (unsigned i = 0; i < vm->pages_a_step; i++)
		fake_write(vm, any_frame(vm), (uint8_t)rnd(vm, 256));
	if (vm->pages_a_step && rnd(vm, 4) == 0) {
		uint64_t frame = any_frame(vm);

		if (frame >= ALWAYS_PRIVATE && frame < HIGH_FRAME + HIGH_FRAMES - 3)
			fake_convert(vm, frame, 1 + rnd(vm, 3), rnd(vm, 2));
	}
	vm->state[vm->steps % FAKE_STATE_LEN]++;
	if (vm->es)
		fake_vcpu(vm, (uint32_t)rnd(vm, vm->vcpus))[rnd(vm, SEV_VMSA_LEN)]++;
}

/* --- the SEV side: everything goes to inner; the guest goes on meanwhile ---------------------- */

struct wrapper {
	struct sev_vm base;
	struct fake_vm *vm;
	unsigned sent;
};

static struct sev_vm *inner_of(struct sev_vm *base)
{
	return ((struct wrapper *)base)->vm->inner;
}

static bool breaks(struct fake_vm *vm)
{
	return vm->calls && __atomic_fetch_add(vm->calls, 1, __ATOMIC_RELAXED) == vm->break_at;
}

static int wrapper_op(struct sev_vm *base, struct kvm_sev_cmd *cmd)
{
	struct wrapper *w = (struct wrapper *)base;

	if (breaks(w->vm)) {
		cmd->error = 0x13; /* HWERROR_PLATFORM */
		return -EIO;
	}
	if (w->vm->mainline &&
	    (cmd->id == KVM_SEV_SEND_UPDATE_VMSA || cmd->id == KVM_SEV_RECEIVE_UPDATE_VMSA))
		return -EINVAL;
	if (cmd && cmd->id == KVM_SEV_SEND_UPDATE_DATA && ++w->sent % STEP_EVERY == 0)
		fake_step(w->vm);
	return w->vm->inner->ops->op(w->vm->inner, cmd);
}

static bool wrapper_populated(struct sev_vm *base, struct gpa *at, struct gpa end, uint64_t *len)
{
	return inner_of(base)->ops->populated(inner_of(base), at, end, len);
}

static int wrapper_prefault(struct sev_vm *base, struct gpa at, uint64_t len, bool is_private,
			    struct err *e)
{
	if (breaks(((struct wrapper *)base)->vm))
		return err_set(e, -EIO, "broken on purpose");
	return inner_of(base)->ops->prefault(inner_of(base), at, len, is_private, e);
}

/* What a migration does not call is not there. */
static const struct sev_vm_ops wrapper_ops = {
	.op = wrapper_op,
	.populated = wrapper_populated,
	.prefault = wrapper_prefault,
};

/* --- migrate/vm.h ---------------------------------------------------------------------------- */

static struct fake_vm *fake_of(struct mig_vm *vm)
{
	return (struct fake_vm *)vm;
}

static int fake_describe(struct mig_vm *mig, struct mig_vm_desc *out, struct err *e)
{
	struct fake_vm *vm = fake_of(mig);

	(void)e;
	*out = (struct mig_vm_desc){
		.name = "fake",
		.vcpus = vm->vcpus,
		.cbit = 47,
		.nram = 2,
		.ram = { { gpa(0), FAKE_LOW, vm->low },
			 { gpa(FAKE_HIGH_AT), FAKE_HIGH, vm->high } },
		.machine = (const uint8_t *)"machine",
		.machine_len = 7,
	};
	return 0;
}

static int fake_accept(struct mig_vm *mig, const struct mig_vm_desc *from, enum mig_accept how,
		       struct lines *differences, struct err *e)
{
	struct fake_vm *vm = fake_of(mig);

	vm->taken += how == MIG_TAKE;
	if (vm->stubborn)
		lines_add(differences, "too stubborn");
	if (from->vcpus != vm->vcpus)
		lines_add(differences, "vcpus: %u there, %u here", from->vcpus, vm->vcpus);
	return from->machine_len == 7 && memcmp(from->machine, "machine", 7) == 0
		       ? 0
		       : err_set(e, -EINVAL, "another machine");
}

/* Hardware does not run a guest that was sent, or that is not here yet. */
static int fake_runnable(struct fake_vm *vm, struct err *e)
{
	struct kvm_sev_guest_status st = { 0 };
	struct kvm_sev_cmd cmd = { .id = KVM_SEV_GUEST_STATUS, .data = (uintptr_t)&st };

	if (vm->inner->ops->op(vm->inner, &cmd) < 0 || (st.state != 3 && st.state != 5))
		return err_set(e, -EIO, "VMRUN: the guest's state is %u", st.state);
	return 0;
}

static int fake_run(struct mig_vm *mig, bool on, struct err *e)
{
	struct fake_vm *vm = fake_of(mig);
	int n;

	if (vm->ended)
		return err_set(e, -ESHUTDOWN, "power-off");
	on = on && !vm->paused;
	if (on == vm->running)
		return 0;
	if (on && fake_runnable(vm, e) < 0)
		return -EIO;
	vm->running = on;
	while (vm->at_work)
		sched_yield();
	n = atomic_fetch_add(&vm->world->running, on ? 1 : -1) + (on ? 1 : -1);
	if (n > vm->world->most)
		vm->world->most = n;
	return 0;
}

static int fake_dirty(struct mig_vm *mig, enum mig_dirty what, struct mig_bitmap *bm, struct err *e)
{
	struct fake_vm *vm = fake_of(mig);

	if (vm->ended)
		return err_set(e, -ESHUTDOWN, "power-off");
	vm->log_on = what != MIG_DIRTY_STOP;
	if (what == MIG_DIRTY_STOP)
		return 0;
	/* The guest may be writing in another thread. */
	for (uint64_t i = 0; i < (FAKE_FRAMES + 63) / 64; i++) {
		uint64_t word = __atomic_exchange_n(&vm->dirty[i], 0, __ATOMIC_SEQ_CST);

		if (what == MIG_DIRTY_SYNC)
			bm->words[i] |= word;
	}
	if (what == MIG_DIRTY_START)
		return 0;
	if (vm->on_sync)
		vm->on_sync(vm);
	return 0;
}

static int fake_shared(struct mig_vm *mig, enum mig_shared what, struct ranges *set, struct err *e)
{
	struct fake_vm *vm = fake_of(mig);
	int r = what == MIG_GET ? ranges_copy(set, &vm->shared, e)
				: ranges_copy(&vm->shared, set, e);

	if (what == MIG_GET && vm->on_get)
		vm->on_get(vm);
	return r;
}

static int fake_state_save(struct mig_vm *mig, struct buf *out, struct err *e)
{
	struct fake_vm *vm = fake_of(mig);

	if (vm->running)
		return err_set(e, -EBUSY, "the guest runs");
	if (buf_add(out, vm->state, sizeof(vm->state), e) < 0)
		return -ENOMEM;
	return buf_add(out, &vm->paused, sizeof(vm->paused), e);
}

static int fake_state_load(struct mig_vm *mig, const uint8_t *p, size_t len, struct err *e)
{
	struct fake_vm *vm = fake_of(mig);

	if (vm->broken_load || len != sizeof(vm->state) + sizeof(vm->paused))
		return err_set(e, -EINVAL, "state of %zu bytes", len);
	memcpy(vm->state, p, sizeof(vm->state));
	vm->paused = p[sizeof(vm->state)];
	return 0;
}

static int fake_consent(struct mig_vm *mig, unsigned overridden, struct err *e)
{
	const char *why = fake_of(mig)->blocked;

	if (!why || (overridden & 1u << MIG_PARTY_GUEST))
		return 0;
	return err_set(e, -EPERM, "guest: %s", why);
}

static const struct mig_vm_ops fake_ops = {
	.describe = fake_describe,
	.accept = fake_accept,
	.run = fake_run,
	.dirty = fake_dirty,
	.shared = fake_shared,
	.state_save = fake_state_save,
	.state_load = fake_state_load,
	.consent = fake_consent,
};

/* --- life ------------------------------------------------------------------------------------ */

static void launch(struct fake_vm *vm)
{
	struct kvm_sev_cmd vcpus = { .id = KVM_SEV_LAUNCH_UPDATE_VMSA };
	uint32_t policy = vm->es ? PSP_POLICY_ES : 0;
	uint8_t measure[SEV_MEASURE_LEN];
	struct err e = { 0 };

	if (sev_launch_start(vm->inner, policy, NULL, 0, NULL, 0, &e) < 0 ||
	    sev_launch_update(vm->inner, vm->low + 0x1000, PAGE_LEN, &e) < 0 ||
	    (vm->es && sev_vm_op(vm->inner, &vcpus) < 0) ||
	    sev_launch_measure(vm->inner, measure, &e) < 0 || sev_launch_finish(vm->inner, &e) < 0)
		fail_msg("%s", e.msg);
	fake_convert(vm, ALWAYS_PRIVATE + 70, 30, true);
	fake_convert(vm, HIGH_FRAME + 8, 4, true);
	vm->running = true;
	vm->world->most = atomic_fetch_add(&vm->world->running, 1) + 1;
	for (unsigned i = 0; i < 20; i++)
		fake_step(vm);
}

struct fake_vm *fake_vm_new(struct fake_world *w, struct sev_platform *p, bool launched)
{
	struct fake_vm *vm = calloc(1, sizeof(*vm));
	struct wrapper *wrap = calloc(1, sizeof(*wrap));
	struct err e = { 0 };

	assert_non_null(vm);
	assert_non_null(wrap);
	vm->world = w;
	vm->platform = p;
	vm->rnd = 0x9e3779b97f4a7c15ull;
	vm->pages_a_step = 4;
	ranges_init(&vm->shared);
	vm->dirty = calloc(1, FAKE_FRAMES / 8 + 8);
	assert_non_null(vm->dirty);
	if (sev_vm_new(p, -1, -1, &vm->inner, &e) < 0)
		fail_msg("%s", e.msg);
	wrap->base = *vm->inner;
	wrap->base.ops = &wrapper_ops;
	wrap->vm = vm;
	vm->mig = (struct mig_vm){ &fake_ops, &wrap->base };
	vm->low = fixture_ram(vm->inner, 0, FAKE_LOW, 0);
	vm->high = fixture_ram(vm->inner, FAKE_HIGH_AT, FAKE_HIGH, SEV_SLOTS_PER_RAM);
	fake_init(vm);
	if (launched)
		launch(vm);
	return vm;
}

void fake_vm_free(struct fake_vm *vm)
{
	sev_vm_free(vm->inner);
	munmap(vm->low, FAKE_LOW);
	munmap(vm->high, FAKE_HIGH);
	ranges_fini(&vm->shared);
	free(vm->dirty);
	free(vm->mig.sev);
	free(vm);
}

static bool all_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, PAGE_LEN - 1) == 0;
}

static void same_frames(struct fake_vm *a, struct fake_vm *b, uint64_t from, uint64_t n)
{
	unsigned written = 0;

	for (uint64_t f = from; f < from + n; f++) {
		bool shared = is_shared(a, f);
		const uint8_t *p = fake_page(a, f, shared), *q = fake_page(b, f, shared);

		written += !all_zero(p);
		if (memcmp(p, q, PAGE_LEN) != 0)
			fail_msg("frame %#lx (%s) differs", f, shared ? "shared" : "private");
	}
	assert_true(written > 10); /* or the comparison says nothing */
}

void fake_assert_same(struct fake_vm *a, struct fake_vm *b)
{
	assert_int_equal(a->shared.n, b->shared.n);
	for (size_t i = 0; i < a->shared.n; i++)
		assert_memory_equal(&a->shared.v[i], &b->shared.v[i], sizeof(struct range));
	assert_memory_equal(a->state, b->state, sizeof(a->state));
	for (uint32_t i = 0; a->es && i < a->vcpus; i++)
		assert_memory_equal(fake_vcpu(a, i), fake_vcpu(b, i), SEV_VMSA_LEN);
	same_frames(a, b, 0, LOW_FRAMES);
	same_frames(a, b, HIGH_FRAME, HIGH_FRAMES);
}

/* --- both sides ------------------------------------------------------------------------------ */

static int rig_verify(void *ctx, const struct sev_peer_certs *peer, uint32_t policy, struct err *e)
{
	struct rig *rig = ctx;

	rig->verified++;
	assert_int_equal(policy, rig->src->es ? PSP_POLICY_ES : 0);
	assert_int_equal(peer->amd_len, 2 * 832); /* roots of 2048 bits */
	return rig->verify_result < 0 ? err_set(e, rig->verify_result, "not on the list") : 0;
}

static struct chan *wrapped(struct rig *rig, struct chan *c, bool target)
{
	if (rig->wrap)
		c = rig->wrap(rig, c, target);
	if (rig->fault && rig->reconnects == 0 && rig->fault_target == target)
		c = chan_fault_wrap(c, rig->fault_k, rig->fault_at);
	assert_non_null(c);
	return c;
}

int rig_connect(struct rig *rig, struct chan **out, struct err *e)
{
	struct chan *a = NULL, *b = NULL;
	int r = chan_mem_pair(&a, &b, e);

	if (r < 0)
		return r;
	a = wrapped(rig, a, false);
	b = wrapped(rig, b, true);
	pthread_mutex_lock(&rig->lock);
	if (rig->closed) {
		pthread_mutex_unlock(&rig->lock);
		chan_free(a);
		chan_free(b);
		return err_set(e, -ECONNREFUSED, "nobody listens");
	}
	chan_free(rig->waiting);
	rig->waiting = b;
	pthread_mutex_unlock(&rig->lock);
	*out = a;
	return 0;
}

static int rig_reconnect(void *ctx, struct chan **out, struct err *e)
{
	struct rig *rig = ctx;

	pthread_mutex_lock(&rig->lock);
	rig->reconnects++;
	pthread_mutex_unlock(&rig->lock);
	return rig->no_reconnect ? err_set(e, -EHOSTUNREACH, "no way") : rig_connect(rig, out, e);
}

static int rig_accept(void *ctx, struct chan **out, struct err *e)
{
	const struct timespec pause = { 0, 2000000 };
	struct rig *rig = ctx;
	int r = -ETIMEDOUT;

	for (unsigned i = 0; i < 20 && r == -ETIMEDOUT; i++) {
		pthread_mutex_lock(&rig->lock);
		if (rig->waiting) {
			*out = steal_ptr(&rig->waiting);
			r = 0;
		} else if (rig->closed) {
			r = err_set(e, -ECANCELED, "nobody will come");
		}
		pthread_mutex_unlock(&rig->lock);
		if (r == -ETIMEDOUT)
			nanosleep(&pause, NULL);
	}
	return r == -ETIMEDOUT ? err_set(e, r, "nobody came") : r;
}

void rig_init(struct rig *rig, struct sev_platform *a, struct sev_platform *b)
{
	*rig = (struct rig){ 0 };
	pthread_mutex_init(&rig->lock, NULL);
	rig->src = fake_vm_new(&rig->world, a, true);
	rig->dst = fake_vm_new(&rig->world, b, false);
	rig->source_params = (struct mig_source_params){
		.verify = rig_verify, .reconnect = rig_reconnect, .commit_wait_ms = 3000, .ctx = rig
	};
	rig->target_params =
		(struct mig_target_params){ .accept = rig_accept, .ctx = rig, .linger_ms = 1000 };
}

void rig_fini(struct rig *rig)
{
	mig_source_free(rig->source);
	mig_target_free(rig->target);
	chan_free(rig->waiting);
	fake_vm_free(rig->src);
	fake_vm_free(rig->dst);
	pthread_mutex_destroy(&rig->lock);
}

static void *target_main(void *arg)
{
	struct rig *rig = arg;

	rig->target_result = mig_target_run(rig->target, &rig->target_err);
	return NULL;
}

void rig_target_start(struct rig *rig)
{
	struct err e = { 0 };

	if (mig_target_new(&rig->dst->mig, rig->dst->platform, &rig->target_params, &rig->target,
			   &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(pthread_create(&rig->target_thread, NULL, target_main, rig), 0);
}

void rig_target_join(struct rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	rig->closed = true;
	pthread_mutex_unlock(&rig->lock);
	pthread_join(rig->target_thread, NULL);
	mig_target_stats(rig->target, &rig->target_stats);
}

void rig_source_run(struct rig *rig, struct chan *c)
{
	struct err e = { 0 };

	if (!rig->source && mig_source_new(&rig->src->mig, rig->src->platform, &rig->source_params,
					   &rig->source, &e) < 0)
		fail_msg("%s", e.msg);
	rig->source_result = mig_source_run(rig->source, c, &rig->source_err);
	mig_source_stats(rig->source, &rig->source_stats);
}

/* It may be waiting, or holding, or about to notice that it holds: then a cancel has no effect yet.
 */
static void target_give_up(struct rig *rig)
{
	const struct timespec pause = { 0, 5000000 };
	struct mig_stats st;

	do {
		mig_target_cancel(rig->target);
		nanosleep(&pause, NULL);
		mig_target_stats(rig->target, &st);
	} while (st.phase != MIG_PHASE_DONE);
}

void rig_move(struct rig *rig)
{
	struct chan *c = NULL;
	struct err e = { 0 };

	rig_target_start(rig);
	if (rig_connect(rig, &c, &e) < 0)
		fail_msg("%s", e.msg);
	rig_source_run(rig, c);
	if (rig->source_stats.outcome == MIG_OUTCOME_STAYED)
		target_give_up(rig);
	if (rig->source_stats.outcome != MIG_OUTCOME_UNKNOWN)
		rig_target_join(rig);
}
