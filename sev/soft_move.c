/* SPDX-License-Identifier: Apache-2.0 */

/* SEND_* and RECEIVE_* as Linux hands them to the Secure Processor. The two UPDATE commands run
 * once a page: no allocation, no system call, no copy beside the encryption itself. */

#include "sev/soft_vm.h"

#include <string.h>

#define KERNEL_ALLOC_MAX (4u << 20) /* what kzalloc() gives at most */

static struct psp *psp_of(const struct soft_vm *vm)
{
	return soft_platform_of(vm)->psp;
}

static int send_start_query(struct soft_vm *vm, struct kvm_sev_cmd *cmd,
			    struct kvm_sev_send_start *params)
{
	struct psp_send_to nobody = { 0 };
	struct psp_room session = { 0 };
	int r = SOFT_ISSUE(
		vm, cmd,
		psp_send_start(psp_of(vm), vm->handle, &nobody, &session, &params->policy));

	params->session_len = session.len;
	return soft_user_put(&vm->user, cmd->data, params, sizeof(*params)) < 0 ? -EFAULT : r;
}

static int send_to_get(struct soft_vm *vm, const struct kvm_sev_send_start *params,
		       struct psp_send_to *to)
{
	int r = soft_vm_blob(vm, params->pdh_cert_uaddr, params->pdh_cert_len, &to->pdh);

	if (r == 0)
		r = soft_vm_blob(vm, params->plat_certs_uaddr, params->plat_certs_len, &to->plat);
	if (r == 0)
		r = soft_vm_blob(vm, params->amd_certs_uaddr, params->amd_certs_len, &to->amd);
	return r;
}

int soft_send_start(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_send_start params;
	struct psp_send_to to;
	uint8_t blob[SOFT_BLOB_MAX] = { 0 };
	struct psp_room session;
	uint32_t len;
	int r = soft_user_get(&vm->user, &params, cmd->data, sizeof(params));

	if (r < 0)
		return r;
	len = params.session_len;
	if (!len)
		return send_start_query(vm, cmd, &params);
	if (!params.session_uaddr || len > sizeof(blob))
		return -EINVAL;
	r = send_to_get(vm, &params, &to);
	if (r < 0)
		return r;
	session = (struct psp_room){ blob, len };
	params.policy = 0;
	r = SOFT_ISSUE(vm, cmd,
		       psp_send_start(psp_of(vm), vm->handle, &to, &session, &params.policy));
	if (r == 0)
		r = soft_user_put(&vm->user, params.session_uaddr, blob, len);
	params.session_len = session.len;
	return soft_user_put(&vm->user, cmd->data, &params, sizeof(params)) < 0 ? -EFAULT : r;
}

static int send_update_query(struct soft_vm *vm, struct kvm_sev_cmd *cmd,
			     struct kvm_sev_send_update_data *params)
{
	struct psp_room hdr = { 0 }, packet = { 0 };
	int r = SOFT_ISSUE(vm, cmd,
			   psp_send_update_data(psp_of(vm), vm->handle, NULL, 0, &hdr, &packet));

	params->hdr_len = hdr.len;
	params->trans_len = packet.len;
	return soft_user_put(&vm->user, cmd->data, params, sizeof(*params)) < 0 ? -EFAULT : r;
}

static bool page_crossed(uint64_t uaddr, uint32_t len)
{
	return len > PAGE_LEN || uaddr % PAGE_LEN + len > PAGE_LEN;
}

/* The firmware writes to the kernel's buffers, so it is only then that the caller's turn out to be
 * nowhere. */
static int send_update_nowhere(struct soft_vm *vm, struct kvm_sev_cmd *cmd,
			       const struct kvm_sev_send_update_data *p, const uint8_t *priv)
{
	uint8_t h[PSP_HDR_LEN], t[PAGE_LEN];
	struct psp_room hdr = { h, p->hdr_len < sizeof(h) ? p->hdr_len : (uint32_t)sizeof(h) };
	struct psp_room packet = { t,
				   p->trans_len < sizeof(t) ? p->trans_len : (uint32_t)sizeof(t) };
	int r = SOFT_ISSUE(
		vm, cmd,
		psp_send_update_data(psp_of(vm), vm->handle, priv, p->guest_len, &hdr, &packet));

	return r < 0 ? r : -EFAULT;
}

int soft_send_update(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_send_update_data p;
	struct psp_room hdr, packet;
	const uint8_t *priv;
	int r = soft_user_get(&vm->user, &p, cmd->data, sizeof(p));

	if (r < 0)
		return r;
	if (!p.hdr_len || !p.trans_len)
		return send_update_query(vm, cmd, &p);
	if (!p.trans_uaddr || !p.guest_uaddr || !p.guest_len || !p.hdr_uaddr ||
	    page_crossed(p.guest_uaddr, p.guest_len))
		return -EINVAL;
	priv = soft_vm_memory(vm, p.guest_uaddr, p.guest_len, false);
	if (!priv || p.hdr_len > KERNEL_ALLOC_MAX || p.trans_len > KERNEL_ALLOC_MAX)
		return -ENOMEM;
	hdr = (struct psp_room){ soft_user_write(&vm->user, p.hdr_uaddr, p.hdr_len), p.hdr_len };
	packet = (struct psp_room){ soft_user_write(&vm->user, p.trans_uaddr, p.trans_len),
				    p.trans_len };
	if (!hdr.p || !packet.p)
		return send_update_nowhere(vm, cmd, &p, priv);
	r = SOFT_ISSUE(
		vm, cmd,
		psp_send_update_data(psp_of(vm), vm->handle, priv, p.guest_len, &hdr, &packet));
	if (r < 0)
		return r;
	/* The kernel copies out all the room it was given. */
	memset(hdr.p + hdr.len, 0, p.hdr_len - hdr.len);
	memset(packet.p + packet.len, 0, p.trans_len - packet.len);
	return 0;
}

int soft_receive_start(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_receive_start params;
	struct psp_bytes dh, session;
	int r = soft_user_get(&vm->user, &params, cmd->data, sizeof(params));

	if (r == 0)
		r = soft_vm_blob(vm, params.pdh_uaddr, params.pdh_len, &dh);
	if (r == 0)
		r = soft_vm_blob(vm, params.session_uaddr, params.session_len, &session);
	if (r == 0)
		r = soft_vm_fd(vm, cmd->sev_fd);
	if (r == 0)
		r = soft_fw(
			psp_receive_start(psp_of(vm), &params.handle, params.policy, dh, session),
			&cmd->error);
	return r < 0 ? r : soft_vm_bind(vm, cmd, params.handle, &params, sizeof(params));
}

int soft_receive_update(struct soft_vm *vm, struct kvm_sev_cmd *cmd)
{
	struct kvm_sev_receive_update_data p;
	struct psp_bytes hdr, packet;
	uint8_t *priv;
	int r = soft_user_get(&vm->user, &p, cmd->data, sizeof(p));

	if (r < 0)
		return r;
	if (!p.hdr_uaddr || !p.hdr_len || !p.guest_uaddr || !p.guest_len || !p.trans_uaddr ||
	    !p.trans_len || page_crossed(p.guest_uaddr, p.guest_len))
		return -EINVAL;
	r = soft_vm_blob(vm, p.hdr_uaddr, p.hdr_len, &hdr);
	if (r == 0)
		r = soft_vm_blob(vm, p.trans_uaddr, p.trans_len, &packet);
	if (r < 0)
		return r;
	priv = soft_vm_memory(vm, p.guest_uaddr, p.guest_len, true);
	if (!priv)
		return -ENOMEM;
	return SOFT_ISSUE(
		vm, cmd,
		psp_receive_update_data(psp_of(vm), vm->handle, hdr, packet, priv, p.guest_len));
}
