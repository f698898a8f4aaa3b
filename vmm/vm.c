/* SPDX-License-Identifier: Apache-2.0 */

/* The life of a VM: made, set up, run, stopped, ended, taken down. */

#include "vmm/devices.h"
#include "vmm/clock.h"
#include "vmm/impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "abi/firmware.h"
#include "abi/psp.h"
#include "base/log.h"

DEFINE_AUTO(vm, struct vm *, vm_free)

/* An SEV-ES guest's registers are nobody's to set, so there is no way back to the start. */
void vmm_reset(struct vm *vm, const char *why)
{
	if (vmm_es(vm))
		vmm_end(vm, VM_END_RESET,
			"%s: an SEV-ES guest cannot be reset, it has to be started anew", why);
	else
		vmm_end(vm, VM_END_RESET, "%s", why);
}

static void vm_wrote(void *ctx, struct gpa at, uint64_t len)
{
	struct vm *vm = ctx;

	vmm_pages_wrote(&vm->pages, at, len);
}

static void port_reset(void *ctx, void *vcpu, const char *why)
{
	(void)vcpu;
	vmm_reset(ctx, why);
}

static void port_poweroff(void *ctx, void *vcpu, const char *why)
{
	(void)vcpu;
	vmm_end(ctx, VM_END_POWEROFF, "%s", why);
}

static uint32_t port_doorbell(void *ctx, void *vcpu)
{
	(void)ctx;
	return vmm_doorbell(vcpu);
}

static int64_t port_now(void *ctx)
{
	(void)ctx;
	return time(NULL);
}

static void port_pci(void *ctx, uint32_t address, unsigned at, unsigned size, bool write,
		     uint32_t *v)
{
	const struct vm *vm = ctx;

	dev_bus_config(vm->bus, address, at, size, write, v);
}

static const struct ports_ops port_ops = {
	.reset = port_reset,
	.poweroff = port_poweroff,
	.doorbell = port_doorbell,
	.now = port_now,
	.pci = port_pci,
};

static int vm_check(const struct vm_config *cfg, struct err *e)
{
	if (!cfg->name || !cfg->name[0] || strlen(cfg->name) >= sizeof(((struct vm *)0)->name))
		return err_set(e, -EINVAL, "a VM needs a name of 1 to 63 characters");
	if (!cfg->vcpus || cfg->vcpus > VMM_VCPUS_MAX)
		return err_set(e, -EINVAL, "%u vCPUs: 1 to %u", cfg->vcpus, VMM_VCPUS_MAX);
	if (cfg->cbit && (cfg->cbit < 33 || cfg->cbit > 51))
		return err_set(e, -EINVAL, "C-bit %u: 33 to 51", cfg->cbit);
	return 0;
}

static int vm_sev(struct vm *vm, struct err *e)
{
	int r = sev_vm_new(vm->platform, vm->kvm_fd, vm->fd, &vm->mig.sev, e);

	if (r < 0)
		return r;
	vm->mig.sev->wrote = vm_wrote;
	vm->mig.sev->wrote_ctx = vm;
	if (!vm->cfg.cbit || vm->cfg.cbit == vm->mig.sev->cbit)
		return 0;
	if (!vm->mig.sev->soft || vm->cfg.cbit > vm->mig.sev->cbit)
		return err_set(e, -EINVAL, "C-bit %u: this platform's is %u", vm->cfg.cbit,
			       vm->mig.sev->cbit);
	vm->mig.sev->cbit = vm->cfg.cbit;
	return 0;
}

static int vm_make(struct vm *vm, struct err *e)
{
	int r = vmm_memory_map(&vm->mem, vm->cfg.memory, vm->cfg.firmware_len, e);

	if (!r)
		r = vmm_pages_init(&vm->pages, vm->mem.ram, vm->mem.nram, e);
	if (!r && vm->mem.firmware_len)
		vmm_pages_keep_private(&vm->pages, gpa(FIRMWARE_TOP - vm->mem.firmware_len),
				       vm->mem.firmware_len);
	if (!r)
		r = vmm_host_open(vm, e);
	if (!r)
		r = vm_sev(vm, e);
	if (!r)
		r = vmm_host_hypercalls(vm, e);
	if (!r)
		r = vmm_host_msr_filter(vm, e);
	if (!r)
		r = vmm_console_open(vm, e);
	if (!r)
		r = vmm_ports_new(&port_ops, vm, vm->serial, &vm->ports, e);
	if (!r)
		r = vmm_devices_open(vm, vm->cfg.devices, e);
	vm->cfg.devices = NULL;
	return r;
}

int vm_new(const struct vm_config *cfg, struct sev_platform *platform, struct vm **out,
	   struct err *e)
{
	auto_of(vm) struct vm *vm = NULL;
	int r = vm_check(cfg, e);

	if (r < 0)
		return r;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return err_set(e, -ENOMEM, "vm: %m");
	vm->mig.ops = &vmm_migratable_ops;
	vm->cfg = *cfg;
	snprintf(vm->name, sizeof(vm->name), "%s", cfg->name);
	vm->cfg.name = vm->name;
	if (cfg->firmware_len)
		vm->machine.firmware =
			cfg->firmware_migrates ? MACHINE_FIRMWARE_READY : MACHINE_FIRMWARE_SILENT;
	memcpy(vm->machine.digest, cfg->firmware_digest, MACHINE_DIGEST_LEN);
	vm->platform = platform;
	vm->kvm_fd = vm->fd = vm->console.wake = -1;
	vmm_lock_init(&vm->lock);
	vm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->event_fd < 0)
		return err_set(e, -errno, "eventfd: %m");
	r = vm_make(vm, e);
	if (r < 0)
		return err_wrap(e, r, "VM %s", vm->name);
	*out = steal_ptr(&vm);
	return 0;
}

/* --- run state ------------------------------------------------------------------------------ */

/* Let vCPUs run or stop them, as the fields say; does not wait. */
static void run_update(struct vm *vm) REQUIRES(vmm_run)
{
	bool go = vm->phase == VMM_LIVE && vm->want && !vm->held && !vm->quit;

	if (go == vm->go)
		return;
	vm->go = go;
	atomic_store(&vm->halt, !go);
	vmm_lock_tell(&vm->lock);
	if (go)
		dev_bus_resume(vm->bus);
	for (unsigned i = 0; !go && i < vm->nvcpu; i++)
		vmm_vcpu_kick(&vm->vcpu[i]);
}

static unsigned run_threads(const struct vm *vm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->nvcpu; i++)
		n += vm->vcpu[i].has_thread;
	return n;
}

/* Until no vCPU runs and no device works, or somebody else lets them run again. */
static void run_wait_parked(struct vm *vm) REQUIRES(vmm_run)
{
	while (!vm->go && vm->parked < run_threads(vm))
		vmm_lock_wait(&vm->lock);
	if (!vm->go)
		dev_bus_pause(vm->bus);
}

/* SEV first: KVM wants it before the first vCPU and before memory is registered. */
int vmm_setup(struct vm *vm, struct err *e)
{
	int r = sev_init(vm->mig.sev, vm->cfg.policy, e);

	if (!r)
		r = vmm_memory_attach(vm, e);
	if (r < 0)
		return r;
	vm->vcpu = calloc(vm->cfg.vcpus, sizeof(*vm->vcpu));
	if (!vm->vcpu)
		return err_set(e, -ENOMEM, "vCPUs: %m");
	for (unsigned i = 0; !r && i < vm->cfg.vcpus; i++)
		r = vmm_vcpu_open(vm, i, e);
	if (!r)
		r = vmm_cpuid_host(vm, &vm->machine, e);
	for (unsigned i = 0; !r && i < vm->nvcpu; i++)
		r = vmm_vcpu_thread(&vm->vcpu[i], e);
	if (r)
		return r;
	vmm_lock_take(&vm->lock);
	run_wait_parked(vm);
	vmm_lock_drop(&vm->lock);
	return 0;
}

int vm_incoming(struct vm *vm, struct err *e)
{
	int r;

	if (vm_state(vm) != VM_NEW || vm->vcpu)
		return err_set(e, -EINVAL, "VM %s is not new", vm->name);
	r = vmm_setup(vm, e);
	if (r < 0)
		return err_wrap(e, r, "VM %s", vm->name);
	vmm_lock_take(&vm->lock);
	vm->phase = VMM_INCOMING;
	vmm_lock_drop(&vm->lock);
	return 0;
}

int vm_park(struct vm *vm, struct err *e)
{
	int r = 0;

	vmm_lock_take(&vm->lock);
	if (vm->phase != VMM_LIVE || vm->want || !vm->mig.handler)
		r = err_set(e, -EINVAL,
			    "VM %s: only a guest with a handler that never ran can be "
			    "filled",
			    vm->name);
	else
		vm->phase = VMM_INCOMING;
	vmm_lock_drop(&vm->lock);
	return r;
}

static int run_check_ended(struct vm *vm, struct err *e) REQUIRES(vmm_run)
{
	if (vm->phase == VMM_ENDED)
		return err_set(e, -ESRCH, "guest %s has ended: %s", vm->name, vm->why);
	return 0;
}

void vmm_end(struct vm *vm, enum vm_end how, const char *fmt, ...)
{
	uint64_t one = 1;
	va_list ap;

	vmm_lock_take(&vm->lock);
	if (vm->phase != VMM_ENDED) {
		vm->phase = VMM_ENDED;
		vm->end = how;
		va_start(ap, fmt);
		vsnprintf(vm->why, sizeof(vm->why), fmt, ap);
		va_end(ap);
		run_update(vm);
		(void)!write(vm->event_fd, &one, sizeof(one));
	}
	vmm_lock_drop(&vm->lock);
}

/* The processor runs a guest in RUNNING or SEND_UPDATE only; in software nobody else refuses to
 * run one that was sent away. A status that cannot be had decides nothing. */
static int run_check_sev(struct vm *vm, struct err *e)
{
	struct sev_guest_status st = { 0 };
	struct err ignored = { 0 };
	int r = -EIO;

	for (unsigned tries = 0; r < 0 && tries < 3; tries++)
		r = sev_guest_status(vm->mig.sev, &st, &ignored);
	if (r < 0) {
		log_warn("vmm", "%s: %s", vm->name, ignored.msg);
		return 0;
	}
	if (st.state != PSP_GSTATE_RUNNING && st.state != PSP_GSTATE_SUPDATE)
		return err_set(e, -EPERM, "guest %s cannot run in SEV state %u%s", vm->name,
			       st.state, st.state == PSP_GSTATE_SENT ? " (it was sent away)" : "");
	return 0;
}

int vm_start(struct vm *vm, struct err *e)
{
	int r;

	vmm_lock_take(&vm->lock);
	r = run_check_ended(vm, e);
	if (!r && vm->phase == VMM_NEW)
		r = err_set(e, -EINVAL, "VM %s has nothing to run", vm->name);
	if (!r && vm->phase == VMM_INCOMING)
		r = err_set(e, -EPERM, "VM %s waits for its migration", vm->name);
	if (!r)
		r = run_check_sev(vm, e);
	if (!r) {
		vm->want = true;
		run_update(vm);
	}
	vmm_lock_drop(&vm->lock);
	return r;
}

int vm_pause(struct vm *vm, struct err *e)
{
	int r;

	vmm_lock_take(&vm->lock);
	vm->want = false;
	run_update(vm);
	run_wait_parked(vm);
	r = run_check_ended(vm, e);
	vmm_lock_drop(&vm->lock);
	if (!r)
		vmm_clock_forgive(vm);
	return r;
}

static int hold_release(struct vm *vm, struct err *e)
{
	bool arrives;
	int r;

	vmm_lock_take(&vm->lock);
	r = run_check_ended(vm, e);
	if (!r && vm->phase == VMM_INCOMING && !vm->loaded)
		r = err_set(e, -EINVAL, "VM %s has not got its state yet", vm->name);
	if (!r && vm->phase == VMM_NEW)
		r = err_set(e, -EINVAL, "VM %s has nothing to run", vm->name);
	if (!r)
		r = run_check_sev(vm, e);
	if (!r) {
		arrives = vm->phase == VMM_INCOMING;
		vm->phase = VMM_LIVE;
		vm->held = false;
		run_update(vm);
		if (arrives)
			dev_bus_announce(vm->bus);
	}
	vmm_lock_drop(&vm->lock);
	return r;
}

int vmm_hold(struct vm *vm, bool hold, struct err *e)
{
	int r;

	if (!hold)
		return hold_release(vm, e);
	vmm_lock_take(&vm->lock);
	vm->held = true;
	run_update(vm);
	run_wait_parked(vm);
	r = run_check_ended(vm, e);
	vmm_lock_drop(&vm->lock);
	if (!r)
		vmm_clock_forgive(vm);
	return r;
}

void vmm_live(struct vm *vm)
{
	vmm_lock_take(&vm->lock);
	vm->phase = VMM_LIVE;
	vmm_lock_drop(&vm->lock);
}

bool vmm_wanted(struct vm *vm)
{
	bool want;

	vmm_lock_take(&vm->lock);
	want = vm->want;
	vmm_lock_drop(&vm->lock);
	return want;
}

void vmm_loaded(struct vm *vm, bool wanted)
{
	vmm_lock_take(&vm->lock);
	vm->loaded = true;
	vm->want = wanted;
	vmm_lock_drop(&vm->lock);
}

int vmm_stopped_check(struct vm *vm, struct err *e)
{
	bool stopped;

	vmm_lock_take(&vm->lock);
	stopped = !vm->go && vm->parked >= run_threads(vm);
	vmm_lock_drop(&vm->lock);
	return stopped ? 0 : err_set(e, -EBUSY, "VM %s: its vCPUs are not stopped", vm->name);
}

enum vm_state vm_state(struct vm *vm)
{
	enum vm_state s = VM_PAUSED;

	vmm_lock_take(&vm->lock);
	if (vm->phase == VMM_NEW)
		s = VM_NEW;
	else if (vm->phase == VMM_INCOMING)
		s = VM_INCOMING;
	else if (vm->phase == VMM_ENDED)
		s = VM_ENDED;
	else if (vm->go)
		s = VM_RUNNING;
	vmm_lock_drop(&vm->lock);
	return s;
}

enum vm_end vm_end(struct vm *vm, const char **why)
{
	enum vm_end how;

	vmm_lock_take(&vm->lock);
	how = vm->end;
	if (why)
		*why = vm->why; /* written once, before .end */
	vmm_lock_drop(&vm->lock);
	return how;
}

/* --- small questions ------------------------------------------------------------------------ */

struct mig_vm *vm_migratable(struct vm *vm)
{
	return &vm->mig;
}

int vm_event_fd(const struct vm *vm)
{
	return vm->event_fd;
}

const uint8_t *vm_measurement(const struct vm *vm)
{
	return vm->measured ? vm->measurement : NULL;
}

bool vm_migration_msr(struct vm *vm, uint64_t *value)
{
	*value = atomic_load(&vm->migration);
	return atomic_load(&vm->migration_written);
}

uint64_t vm_shared_pages(struct vm *vm)
{
	return ranges_total(&vm->pages.shared);
}

static void vm_stop_threads(struct vm *vm)
{
	vmm_lock_take(&vm->lock);
	vm->quit = true;
	run_update(vm);
	vmm_lock_tell(&vm->lock);
	vmm_lock_drop(&vm->lock);
	for (unsigned i = 0; i < vm->nvcpu; i++)
		if (vm->vcpu[i].has_thread)
			pthread_join(vm->vcpu[i].thread, NULL);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vm_stop_threads(vm);
	vmm_devices_close(vm);
	if (vm->mig.handler)
		vm->mig.handler->ops->close(vm->mig.handler);
	for (unsigned i = 0; i < vm->nvcpu; i++)
		vmm_vcpu_close(&vm->vcpu[i]);
	free(vm->vcpu);
	vmm_ports_free(vm->ports);
	vmm_serial_free(vm->serial);
	sev_vm_free(vm->mig.sev);
	for (size_t i = 0; i < 3; i++) {
		int fd = (const int[]){ vm->fd, vm->kvm_fd, vm->event_fd }[i];

		if (fd >= 0)
			close(fd);
	}
	vmm_pages_fini(&vm->pages);
	vmm_memory_unmap(&vm->mem);
	buf_fini(&vm->machine_bytes);
	buf_fini(&vm->dirty_words);
	vmm_lock_fini(&vm->lock);
	free(vm);
}
