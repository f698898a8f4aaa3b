/* SPDX-License-Identifier: Apache-2.0 */

/*
 * KVM_MEMORY_ENCRYPT_OP in software: dispatch, VM life, launch, status, debugging; the checks and
 * errno values are those of Linux' arch/x86/kvm/svm/sev.c, in its order; where kernels differ,
 * those of 6.12. VMs of our own monitor can be sent and received with their vCPUs, which mainline
 * kernels cannot.
 */

#include "sev/soft_vm.h"

#include <string.h>

#include "base/auto.h"

static struct psp *psp_of(const struct soft_vm *vm)
{
	return soft_platform_of(vm)->psp;
}

int soft_vm_blob(struct soft_vm *vm, uint64_t uaddr, uint32_t len, struct psp_bytes *out)
{
	if (!uaddr || !len || len > SOFT_BLOB_MAX)
		return -EINVAL;
	*out = (struct psp_bytes){ soft_user_read(&vm->user, uaddr, len), len };
	return out->p ? 0 : -EFAULT;
}

int soft_vm_fd(const struct soft_vm *vm, uint32_t fd)
{
	const struct sev_soft_client *c = &vm->client;

	return c->is_sev && !c->is_sev(c->ctx, fd) ? -EBADF : 0;
}

/* --- launch ---------------------------------------------------------------------------------- */

static int blob_optional(struct soft_vm *vm, uint64_t uaddr, uint32_t len, struct psp_bytes *out)
{
	*out = (struct psp_bytes){ 0 };
	return uaddr ? soft_vm_blob(vm, uaddr, len, out) : 0;
}

static int do_launch_start(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_launch_start p;
	struct psp_bytes dh, session;
	int r = soft_user_get(&vm->user, &p, cmd->data, sizeof(p));

	if (r == 0)
		r = blob_optional(vm, p.dh_uaddr, p.dh_len, &dh);
	if (r == 0)
		r = blob_optional(vm, p.session_uaddr, p.session_len, &session);
	if (r == 0)
		r = soft_vm_fd(vm, cmd->sev_fd);
	if (r == 0)
		r = soft_fw(psp_launch_start(psp_of(vm), &p.handle, p.policy, dh, session),
			    &cmd->error);
	return r < 0 ? r : soft_vm_bind(vm, cmd, p.handle, &p, sizeof(p));
}

uint8_t *soft_vm_memory(struct soft_vm *vm, uint64_t uaddr, uint64_t len, bool write)
{
	if (!vm->in_place)
		return soft_mem_private(vm, uaddr, len);
	if (write)
		return soft_user_pin(uaddr, len);
	return soft_user_read(&vm->user, uaddr, len) ? (uint8_t *)(uintptr_t)uaddr : NULL;
}

static int do_launch_update(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_launch_update_data p;
	const uint8_t *shared;
	uint8_t *priv;
	int r = soft_user_get(&vm->user, &p, cmd->data, sizeof(p));

	if (r < 0)
		return r;
	if (!p.len || p.uaddr + p.len < p.uaddr)
		return -EINVAL;
	priv = soft_vm_memory(vm, p.uaddr, p.len, true);
	if (!priv)
		return -ENOMEM;
	shared = (const uint8_t *)(uintptr_t)p.uaddr;
	r = SOFT_ISSUE(vm, cmd,
		       psp_launch_update_data(psp_of(vm), vm->handle, shared, priv, p.len));
	if (r == 0 && !vm->in_place)
		soft_mem_wipe_shared(p.uaddr, p.len);
	return r;
}

/* KVM takes a secret's pages where they are one piece of physical memory; with huge pages, as
 * guests' memory has them, that is up to the next 2 MiB. */
static bool in_one_piece(uint64_t uaddr, uint32_t len)
{
	const uint64_t huge = 0x200000;

	return uaddr / huge == (uaddr + len - 1) / huge;
}

static int do_launch_secret(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_launch_secret p;
	struct psp_bytes hdr, packet;
	uint8_t *priv;
	int r = soft_user_get(&vm->user, &p, cmd->data, sizeof(p));

	if (r < 0)
		return r;
	if (!p.guest_len || p.guest_uaddr + p.guest_len < p.guest_uaddr)
		return -EINVAL;
	priv = soft_vm_memory(vm, p.guest_uaddr, p.guest_len, true);
	if (!priv)
		return -ENOMEM;
	if (!in_one_piece(p.guest_uaddr, p.guest_len))
		return -EINVAL;
	r = soft_vm_blob(vm, p.trans_uaddr, p.trans_len, &packet);
	if (r == 0)
		r = soft_vm_blob(vm, p.hdr_uaddr, p.hdr_len, &hdr);
	return r < 0 ? r
		     : SOFT_ISSUE(vm, cmd,
				  psp_launch_secret(psp_of(vm), vm->handle, hdr, packet, priv,
						    p.guest_len));
}

/* LAUNCH_MEASURE and ATTESTATION: *len 0 asks how long the answer is; with room the whole of it is
 * written, zeros behind the answer. True when *len is to be written back. */
typedef enum psp_status blob_answer(struct soft_vm *vm, const uint8_t *mnonce,
				    struct psp_room *out);

static int answer_put(struct soft_vm *vm, struct kvm_sev_cmd *cmd, blob_answer *ask,
		      const uint8_t *mnonce, uint64_t uaddr, uint32_t *len)
{
	uint8_t blob[SOFT_BLOB_MAX] = { 0 };
	struct psp_room room = { 0 };
	int r;

	if (*len && uaddr) {
		if (*len > sizeof(blob))
			return -EINVAL;
		room = (struct psp_room){ blob, *len };
	}
	r = SOFT_ISSUE(vm, cmd, ask(vm, mnonce, &room));
	if (r == 0)
		r = soft_user_put(&vm->user, uaddr, blob, *len);
	if (r == 0 || !*len)
		*len = room.len;
	return r;
}

static enum psp_status ask_measure(struct soft_vm *vm, const uint8_t *mnonce, struct psp_room *out)
{
	(void)mnonce;
	return psp_launch_measure(psp_of(vm), vm->handle, out);
}

static enum psp_status ask_report(struct soft_vm *vm, const uint8_t *mnonce, struct psp_room *out)
{
	return psp_attestation(psp_of(vm), vm->handle, mnonce, out);
}

static int do_launch_measure(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_launch_measure params;
	bool query;
	int r = soft_user_get(&vm->user, &params, cmd->data, sizeof(params));

	if (r < 0)
		return r;
	query = !params.len;
	r = answer_put(vm, cmd, ask_measure, NULL, params.uaddr, &params.len);
	if ((r == 0 || query) && soft_user_put(&vm->user, cmd->data, &params, sizeof(params)) < 0)
		return -EFAULT;
	return r;
}

static int do_attestation(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_attestation_report params;
	bool query;
	int r = soft_user_get(&vm->user, &params, cmd->data, sizeof(params));

	if (r < 0)
		return r;
	query = !params.len;
	r = answer_put(vm, cmd, ask_report, params.mnonce, params.uaddr, &params.len);
	if ((r == 0 || query) && soft_user_put(&vm->user, cmd->data, &params, sizeof(params)) < 0)
		return -EFAULT;
	return r;
}

static int do_launch_finish(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	return SOFT_ISSUE(vm, cmd, psp_launch_finish(psp_of(vm), vm->handle));
}

static int do_send_finish(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	return SOFT_ISSUE(vm, cmd, psp_send_finish(psp_of(vm), vm->handle));
}

static int do_send_cancel(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	return SOFT_ISSUE(vm, cmd, psp_send_cancel(psp_of(vm), vm->handle));
}

/* --- status and debugging -------------------------------------------------------------------- */

static int do_guest_status(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct psp_guest_status st = { 0 };
	struct kvm_sev_guest_status params = { .handle = vm->handle };
	int r = SOFT_ISSUE(vm, cmd, psp_guest_status(psp_of(vm), vm->handle, &st));

	if (r < 0)
		return r;
	params.policy = st.policy;
	params.state = st.state;
	return soft_user_put(&vm->user, cmd->data, &params, sizeof(params));
}

static int dbg_chunk(struct soft_vm *vm, struct kvm_sev_cmd *cmd, bool decrypt, uint64_t src,
		     uint64_t dst, size_t len)
{
	uint8_t *priv = soft_vm_memory(vm, decrypt ? src : dst, len, !decrypt);
	const uint8_t *from = priv;
	uint8_t *to = priv;

	if (decrypt)
		to = soft_user_write(&vm->user, dst, len);
	else
		from = soft_user_read(&vm->user, src, len);
	if (!priv || !from || !to)
		return -ENOMEM;
	if (decrypt)
		return SOFT_ISSUE(vm, cmd, psp_dbg_decrypt(psp_of(vm), vm->handle, from, to, len));
	return SOFT_ISSUE(vm, cmd, psp_dbg_encrypt(psp_of(vm), vm->handle, from, to, len));
}

static int dbg_run(struct soft_vm *vm, struct kvm_sev_cmd *cmd, bool decrypt)
{
	struct kvm_sev_dbg p;
	int r = soft_user_get(&vm->user, &p, cmd->data, sizeof(p));

	if (r < 0)
		return r;
	if (!p.len || p.src_uaddr + p.len < p.src_uaddr || !p.dst_uaddr)
		return -EINVAL;
	/* Page by page, as far as it goes: what was done before a failure stays done. */
	while (p.len) {
		size_t n = PAGE_LEN - p.src_uaddr % PAGE_LEN;
		size_t m = PAGE_LEN - p.dst_uaddr % PAGE_LEN;

		n = n < m ? n : m;
		n = n < p.len ? n : p.len;
		r = dbg_chunk(vm, cmd, decrypt, p.src_uaddr, p.dst_uaddr, n);
		if (r < 0)
			return r;
		p.src_uaddr += n;
		p.dst_uaddr += n;
		p.len -= (uint32_t)n;
	}
	return 0;
}

static int do_dbg_decrypt(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	return dbg_run(vm, cmd, true);
}

static int do_dbg_encrypt(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	return dbg_run(vm, cmd, false);
}

/* --- dispatch -------------------------------------------------------------------------------- */

#define SEV_ID_END (SEV_KVM_INIT2 + 1)

struct command {
	soft_cmd *run;
	bool mirror; /* a mirror may */
	bool keys;   /* uses the platform's keys or changes what processes share */
};

/* Empty: ids that no upstream kernel answers (CERT_EXPORT), and SNP's, which come after. */
static const struct command commands[SEV_ID_END] = {
	[KVM_SEV_INIT] = { soft_init, .keys = true },
	[KVM_SEV_ES_INIT] = { soft_es_init, .keys = true },
	[KVM_SEV_LAUNCH_START] = { do_launch_start, .keys = true },
	[KVM_SEV_LAUNCH_UPDATE_DATA] = { do_launch_update },
	[KVM_SEV_LAUNCH_UPDATE_VMSA] = { soft_launch_update_vmsa, .mirror = true },
	[KVM_SEV_LAUNCH_SECRET] = { do_launch_secret },
	[KVM_SEV_LAUNCH_MEASURE] = { do_launch_measure },
	[KVM_SEV_LAUNCH_FINISH] = { do_launch_finish },
	[KVM_SEV_SEND_START] = { soft_send_start, .keys = true },
	[KVM_SEV_SEND_UPDATE_DATA] = { soft_send_update },
	[KVM_SEV_SEND_UPDATE_VMSA] = { soft_send_update_vmsa },
	[KVM_SEV_SEND_FINISH] = { do_send_finish },
	[KVM_SEV_SEND_CANCEL] = { do_send_cancel },
	[KVM_SEV_RECEIVE_START] = { soft_receive_start, .keys = true },
	[KVM_SEV_RECEIVE_UPDATE_DATA] = { soft_receive_update },
	[KVM_SEV_RECEIVE_UPDATE_VMSA] = { soft_receive_update_vmsa },
	[KVM_SEV_RECEIVE_FINISH] = { soft_receive_finish },
	[KVM_SEV_GUEST_STATUS] = { do_guest_status, .mirror = true },
	[KVM_SEV_DBG_DECRYPT] = { do_dbg_decrypt, .mirror = true },
	[KVM_SEV_DBG_ENCRYPT] = { do_dbg_encrypt, .mirror = true },
	[KVM_SEV_GET_ATTESTATION_REPORT] = { do_attestation, .keys = true },
	[SEV_KVM_INIT2] = { soft_init2, .keys = true },
};

static const struct command *command_of(const struct soft_vm *vm, uint32_t id)
{
	if (id >= SEV_ID_END || !commands[id].run)
		return NULL;
	if ((id == KVM_SEV_SEND_UPDATE_VMSA || id == KVM_SEV_RECEIVE_UPDATE_VMSA) &&
	    !vm->client.update_vmsa)
		return NULL; /* as mainline */
	return &commands[id];
}

static bool is_init(uint32_t id)
{
	return id == KVM_SEV_INIT || id == KVM_SEV_ES_INIT || id == SEV_KVM_INIT2;
}

struct vm_call {
	struct soft_vm *vm;
	const struct command *c;
	struct kvm_sev_cmd *cmd;
};

static int with_keys(struct soft_platform *p, void *arg, uint32_t *fw)
{
	const struct vm_call *call = arg;

	(void)p, (void)fw; /* fw is the command's own error */
	return call->c->run(call->vm, call->cmd);
}

static int command_run(struct soft_vm *vm, const struct command *c, struct kvm_sev_cmd *cmd)
{
	struct vm_call call = { vm, c, cmd };

	if (!vm->active && !is_init(cmd->id))
		return cmd->id == KVM_SEV_RECEIVE_UPDATE_DATA ? -EINVAL : -ENOTTY;
	if (!c->keys)
		return c->run(vm, cmd);
	return soft_platform_with(soft_platform_of(vm), with_keys, &call, &cmd->error);
}

static bool command_locked(struct soft_vm *vm, struct kvm_sev_cmd *cmd, int *ret)
{
	const struct command *c = command_of(vm, cmd->id);

	if (soft_vm_gone(vm)) {
		*ret = -EIO;
		return false;
	}
	*ret = -EINVAL;
	if (!c || (vm->mirror && !c->mirror))
		return false;
	*ret = command_run(vm, c, cmd);
	return true;
}

bool soft_vm_command(struct soft_vm *vm, struct kvm_sev_cmd *cmd, int *ret)
{
	struct soft_platform *p = soft_platform_of(vm);
	bool ran;

	pthread_mutex_lock(&vm->lock);
	soft_platform_enter(p);
	ran = command_locked(vm, cmd, ret);
	soft_platform_leave(p);
	pthread_mutex_unlock(&vm->lock);
	return ran;
}

static int soft_op(struct sev_vm *base, struct kvm_sev_cmd *cmd)
{
	int r = 0;

	if (cmd) /* NULL: how clients ask whether there is SEV */
		soft_vm_command((struct soft_vm *)base, cmd, &r);
	return r;
}

/* --- regions --------------------------------------------------------------------------------- */

/* Software has nothing to pin; the bookkeeping is KVM's. */
static bool pinnable(struct soft_vm *vm, const struct kvm_enc_region *r)
{
	if (!vm->in_place)
		return soft_mem_private(vm, r->addr, r->size);
	return soft_user_mapped(r->addr, r->size) && soft_user_pin(r->addr, 1);
}

static int region_add(struct soft_vm *vm, const struct kvm_enc_region *r)
{
	struct soft_region *mine;

	if (!vm->active)
		return -ENOTTY;
	if (vm->mirror || !r->size || r->addr + r->size < r->addr)
		return -EINVAL;
	if (!pinnable(vm, r))
		return -ENOMEM;
	mine = calloc(1, sizeof(*mine));
	if (!mine)
		return -ENOMEM;
	*mine = (struct soft_region){ r->addr, r->size, vm->regions };
	vm->regions = mine;
	return 0;
}

static int region_remove(struct soft_vm *vm, const struct kvm_enc_region *r)
{
	if (vm->mirror)
		return -EINVAL;
	if (!vm->active)
		return -ENOTTY;
	for (struct soft_region **at = &vm->regions; *at; at = &(*at)->next) {
		struct soft_region *it = *at;

		if (it->addr == r->addr && it->size == r->size) {
			*at = it->next;
			free(it);
			return 0;
		}
	}
	return -EINVAL;
}

int soft_vm_region(struct soft_vm *vm, const struct kvm_enc_region *r, bool add)
{
	int ret;

	pthread_mutex_lock(&vm->lock);
	if (soft_vm_gone(vm))
		ret = -EIO;
	else
		ret = add ? region_add(vm, r) : region_remove(vm, r);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static int soft_region(struct sev_vm *base, const struct kvm_enc_region *r, bool add)
{
	return soft_vm_region((struct soft_vm *)base, r, add);
}

/* --- making and ending ----------------------------------------------------------------------- */

static void soft_vm_free(struct sev_vm *base)
{
	struct soft_vm *vm = (struct soft_vm *)base;
	struct soft_platform *p = soft_platform_of(vm);

	soft_platform_enter(p);
	soft_vm_context_put(vm);
	soft_platform_leave(p);
	soft_mem_fini(vm);
	while (vm->regions) {
		struct soft_region *next = vm->regions->next;

		free(vm->regions);
		vm->regions = next;
	}
	free(vm->vmsa);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

static const struct sev_vm_ops soft_vm_ops = {
	.op = soft_op,
	.region = soft_region,
	.ram_add = soft_mem_add,
	.populated = soft_mem_populated,
	.prefault = soft_mem_prefault,
	.log_dirty = soft_mem_log_dirty,
	.debug_digest = soft_mem_digest,
	.free = soft_vm_free,
};

struct soft_vm *soft_vm_make(struct sev_platform *p, int vm_fd)
{
	struct soft_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->base = (struct sev_vm){
		.ops = &soft_vm_ops,
		.vcpu_ops = &soft_vcpu_ops,
		.platform = p,
		.soft = true,
		.low_private_end = gpa(0x100000),
	};
	vm->vm_fd = vm_fd;
	soft_platform_enter((struct soft_platform *)p);
	vm->forks = ((struct soft_platform *)p)->forks;
	soft_platform_leave((struct soft_platform *)p);
	pthread_mutex_init(&vm->lock, NULL);
	return vm;
}

int soft_vm_new(struct sev_platform *p, int kvm_fd, int vm_fd, struct sev_vm **out, struct err *e)
{
	struct soft_vm *vm = soft_vm_make(p, vm_fd);
	int r;

	(void)kvm_fd;
	if (!vm)
		return err_set(e, -ENOMEM, "SEV VM: no memory");
	vm->es_offered = true;
	vm->client.update_vmsa = true;
	r = soft_mem_cbit(vm_fd, &vm->base.cbit, e);
	if (r < 0) {
		soft_vm_free(&vm->base);
		return r;
	}
	*out = &vm->base;
	return 0;
}
