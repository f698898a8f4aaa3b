/* SPDX-License-Identifier: Apache-2.0 */

/* The typed calls: fill Linux's structs, issue them, and turn errno and firmware status into one
 * struct err. What the firmware or the kernel said comes first, then what to do about it. */

#include "sev/es.h"

#include <errno.h>
#include <string.h>

#include "abi/psp.h"

/* SEV API command names, by KVM's ids. */
static const char *const vm_cmd_names[] = {
	[KVM_SEV_INIT] = "INIT",
	[KVM_SEV_ES_INIT] = "ES_INIT",
	[KVM_SEV_LAUNCH_START] = "LAUNCH_START",
	[KVM_SEV_LAUNCH_UPDATE_DATA] = "LAUNCH_UPDATE_DATA",
	[KVM_SEV_LAUNCH_UPDATE_VMSA] = "LAUNCH_UPDATE_VMSA",
	[KVM_SEV_LAUNCH_MEASURE] = "LAUNCH_MEASURE",
	[KVM_SEV_LAUNCH_SECRET] = "LAUNCH_SECRET",
	[KVM_SEV_LAUNCH_FINISH] = "LAUNCH_FINISH",
	[KVM_SEV_GUEST_STATUS] = "GUEST_STATUS",
	[KVM_SEV_SEND_START] = "SEND_START",
	[KVM_SEV_SEND_UPDATE_DATA] = "SEND_UPDATE_DATA",
	[KVM_SEV_SEND_UPDATE_VMSA] = "SEND_UPDATE_VMSA",
	[KVM_SEV_SEND_FINISH] = "SEND_FINISH",
	[KVM_SEV_SEND_CANCEL] = "SEND_CANCEL",
	[KVM_SEV_RECEIVE_START] = "RECEIVE_START",
	[KVM_SEV_RECEIVE_UPDATE_DATA] = "RECEIVE_UPDATE_DATA",
	[KVM_SEV_RECEIVE_UPDATE_VMSA] = "RECEIVE_UPDATE_VMSA",
	[KVM_SEV_RECEIVE_FINISH] = "RECEIVE_FINISH",
};

/* What an errno of these calls means, in words an operator can act on. */
static const char *errno_remedy(int code)
{
	switch (-code) {
	case ENOTTY:
		return ": the VM has no SEV: SEV INIT was not done, or KVM runs without SEV "
		       "(kvm_amd.sev=1, firmware setup)";
	case EINVAL:
		return ": refused by the kernel: it does not know this command, or its arguments "
		       "are out of range";
	case ENOMEM:
		return ": the memory could not be pinned: outside the guest's RAM, or over "
		       "RLIMIT_MEMLOCK (ulimit -l)";
	case EBUSY:
		return ": no free SEV guest slot (ASID), or the platform is in use";
	case EBADF:
		return ": /dev/sev was closed";
	case EPERM:
		return ": /dev/sev must be opened for writing";
	default:
		return "";
	}
}

static int call_failed(const char *name, int r, uint32_t status, struct err *e)
{
	if (r == -EIO && status)
		return err_set(e, r, "%s: firmware: %s", name, sev_status_name(status));
	errno = -r;
	return err_set(e, r, "%s: %m%s", name, errno_remedy(r));
}

static int vm_call(struct sev_vm *vm, uint32_t id, const void *params, struct err *e)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = (uintptr_t)params };
	int r = sev_vm_op(vm, &cmd);

	return r < 0 ? call_failed(vm_cmd_names[id], r, cmd.error, e) : 0;
}

static int platform_call(struct sev_platform *p, uint32_t id, const char *name, const void *params,
			 struct err *e)
{
	struct sev_issue_cmd cmd = { .cmd = id, .data = (uintptr_t)params };
	int r = sev_platform_issue(p, &cmd);

	return r < 0 ? call_failed(name, r, cmd.error, e) : 0;
}

/* The structs carry 32-bit lengths. */
static int len_check(uint32_t id, size_t len, struct err *e)
{
	if (len > UINT32_MAX)
		return err_set(e, -EINVAL, "%s: %zu bytes at once", vm_cmd_names[id], len);
	return 0;
}

int sev_certs_export(struct sev_platform *p, struct sev_peer_certs *out, struct err *e)
{
	struct sev_peer_certs got = { 0 };
	struct sev_user_data_pdh_cert_export params = {
		.pdh_cert_address = (uintptr_t)got.pdh,
		.pdh_cert_len = sizeof(got.pdh),
		.cert_chain_address = (uintptr_t)got.plat,
		.cert_chain_len = sizeof(got.plat),
	};
	size_t len = 0;
	int r = platform_call(p, SEV_PDH_CERT_EXPORT, "PDH_CERT_EXPORT", &params, e);

	if (r < 0)
		return r;
	if (params.pdh_cert_len != sizeof(got.pdh) || params.cert_chain_len != sizeof(got.plat))
		return err_set(e, -EPROTO, "PDH_CERT_EXPORT: certificates of %u and %u bytes",
			       params.pdh_cert_len, params.cert_chain_len);
	r = sev_platform_amd_chain(p, got.amd, sizeof(got.amd), &len, e);
	if (r < 0)
		return r;
	got.amd_len = (uint32_t)len;
	*out = got;
	return 0;
}

int sev_platform_status(struct sev_platform *p, struct sev_user_data_status *out, struct err *e)
{
	struct sev_user_data_status got = { 0 };
	int r = platform_call(p, SEV_PLATFORM_STATUS, "PLATFORM_STATUS", &got, e);

	if (r == 0)
		*out = got;
	return r;
}

int sev_init(struct sev_vm *vm, uint32_t policy, struct err *e)
{
	return vm_call(vm, policy & PSP_POLICY_ES ? KVM_SEV_ES_INIT : KVM_SEV_INIT, NULL, e);
}

int sev_launch_start(struct sev_vm *vm, uint32_t policy, const void *dh, size_t dh_len,
		     const void *session, size_t session_len, struct err *e)
{
	struct kvm_sev_launch_start params = {
		.policy = policy,
		.dh_uaddr = (uintptr_t)dh,
		.dh_len = (uint32_t)dh_len,
		.session_uaddr = (uintptr_t)session,
		.session_len = (uint32_t)session_len,
	};
	int r = len_check(KVM_SEV_LAUNCH_START, dh_len | session_len, e);

	return r < 0 ? r : vm_call(vm, KVM_SEV_LAUNCH_START, &params, e);
}

int sev_launch_update(struct sev_vm *vm, void *p, size_t len, struct err *e)
{
	struct kvm_sev_launch_update_data params = {
		.uaddr = (uintptr_t)p,
		.len = (uint32_t)len,
	};
	int r = len_check(KVM_SEV_LAUNCH_UPDATE_DATA, len, e);

	return r < 0 ? r : vm_call(vm, KVM_SEV_LAUNCH_UPDATE_DATA, &params, e);
}

int sev_launch_update_vmsa(struct sev_vm *vm, struct err *e)
{
	return vm_call(vm, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, e);
}

int sev_launch_measure(struct sev_vm *vm, uint8_t out[SEV_MEASURE_LEN], struct err *e)
{
	uint8_t got[SEV_MEASURE_LEN] = { 0 };
	struct kvm_sev_launch_measure params = { .uaddr = (uintptr_t)got, .len = sizeof(got) };
	int r = vm_call(vm, KVM_SEV_LAUNCH_MEASURE, &params, e);

	if (r == 0)
		memcpy(out, got, sizeof(got));
	return r;
}

int sev_launch_secret(struct sev_vm *vm, const uint8_t hdr[SEV_PACKET_HDR_LEN], void *p,
		      const void *packet, size_t len, struct err *e)
{
	struct kvm_sev_launch_secret params = {
		.hdr_uaddr = (uintptr_t)hdr,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.guest_uaddr = (uintptr_t)p,
		.guest_len = (uint32_t)len,
		.trans_uaddr = (uintptr_t)packet,
		.trans_len = (uint32_t)len,
	};
	int r = len_check(KVM_SEV_LAUNCH_SECRET, len, e);

	return r < 0 ? r : vm_call(vm, KVM_SEV_LAUNCH_SECRET, &params, e);
}

int sev_launch_finish(struct sev_vm *vm, struct err *e)
{
	return vm_call(vm, KVM_SEV_LAUNCH_FINISH, NULL, e);
}

int sev_guest_status(struct sev_vm *vm, struct sev_guest_status *out, struct err *e)
{
	struct kvm_sev_guest_status got = { 0 };
	int r = vm_call(vm, KVM_SEV_GUEST_STATUS, &got, e);

	if (r == 0)
		*out = (struct sev_guest_status){ got.handle, got.policy, got.state };
	return r;
}

/* A launched guest's SEND_START is asked how long a session is, which changes nothing; the
 * firmware's answer, be it a refusal, is yes. */
bool sev_send_offered(struct sev_vm *vm)
{
	struct kvm_sev_send_start params = {
		0
	}; /* no room for a session: how much does it take? */
	struct kvm_sev_cmd cmd = { .id = KVM_SEV_SEND_START, .data = (uintptr_t)&params };
	int r = sev_vm_op(vm, &cmd);

	return r == 0 || (cmd.error && cmd.error <= SEV_RET_MAX);
}

int sev_send_start(struct sev_vm *vm, const struct sev_peer_certs *to,
		   uint8_t session[SEV_SESSION_LEN], uint32_t *policy, struct err *e)
{
	uint8_t got[SEV_SESSION_LEN] = { 0 };
	struct kvm_sev_send_start params = {
		.pdh_cert_uaddr = (uintptr_t)to->pdh,
		.pdh_cert_len = sizeof(to->pdh),
		.plat_certs_uaddr = (uintptr_t)to->plat,
		.plat_certs_len = sizeof(to->plat),
		.amd_certs_uaddr = (uintptr_t)to->amd,
		.amd_certs_len = to->amd_len,
		.session_uaddr = (uintptr_t)got,
		.session_len = sizeof(got),
	};
	int r;

	if (to->amd_len > sizeof(to->amd))
		return err_set(e, -EINVAL, "SEND_START: AMD chain of %u bytes", to->amd_len);
	r = vm_call(vm, KVM_SEV_SEND_START, &params, e);
	if (r < 0)
		return r;
	memcpy(session, got, sizeof(got));
	*policy = params.policy;
	return 0;
}

int sev_send_update(struct sev_vm *vm, void *p, size_t len, uint8_t hdr[SEV_PACKET_HDR_LEN],
		    void *out, struct err *e)
{
	struct kvm_sev_send_update_data params = {
		.hdr_uaddr = (uintptr_t)hdr,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.guest_uaddr = (uintptr_t)p,
		.guest_len = (uint32_t)len,
		.trans_uaddr = (uintptr_t)out,
		.trans_len = (uint32_t)len,
	};
	int r = len_check(KVM_SEV_SEND_UPDATE_DATA, len, e);

	return r < 0 ? r : vm_call(vm, KVM_SEV_SEND_UPDATE_DATA, &params, e);
}

/* Both commands' parameters, as the kernels that know them lay them out (doc/SEV-INTERFACE.md);
 * linux/kvm.h has only the numbers. */
struct update_vmsa {
	uint32_t vcpu;
	uint32_t pad0;
	uint64_t hdr_uaddr;
	uint32_t hdr_len;
	uint32_t pad1;
	uint64_t trans_uaddr;
	uint32_t trans_len;
	uint32_t pad2;
};
_Static_assert(sizeof(struct update_vmsa) == 40, "see doc/SEV-INTERFACE.md");

/* A kernel that knows the command reads its parameters first, which are nowhere here; one that does
 * not never looks. Nothing has happened either way. */
int sev_vmsa_movable(struct sev_vm *vm, bool send, struct err *e)
{
	struct kvm_sev_cmd cmd = { .id = send ? KVM_SEV_SEND_UPDATE_VMSA
					      : KVM_SEV_RECEIVE_UPDATE_VMSA };
	int r = sev_vm_op(vm, &cmd);

	if (r == -EFAULT)
		return 0;
	if (r == -EINVAL)
		return err_set(e, -EOPNOTSUPP,
			       "this kernel has no KVM_SEV_%s: an SEV-ES guest cannot %s this host",
			       vm_cmd_names[cmd.id], send ? "leave" : "come to");
	return call_failed(vm_cmd_names[cmd.id], r < 0 ? r : -EPROTO, cmd.error, e);
}

int sev_send_update_vmsa(struct sev_vm *vm, uint32_t vcpu, uint8_t hdr[SEV_PACKET_HDR_LEN],
			 uint8_t out[SEV_VMSA_PACKET_LEN], struct err *e)
{
	struct update_vmsa params = {
		.vcpu = vcpu,
		.hdr_uaddr = (uintptr_t)hdr,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.trans_uaddr = (uintptr_t)out,
		.trans_len = SEV_VMSA_PACKET_LEN,
	};

	return vm_call(vm, KVM_SEV_SEND_UPDATE_VMSA, &params, e);
}

int sev_send_finish(struct sev_vm *vm, struct err *e)
{
	return vm_call(vm, KVM_SEV_SEND_FINISH, NULL, e);
}

int sev_send_cancel(struct sev_vm *vm, struct err *e)
{
	return vm_call(vm, KVM_SEV_SEND_CANCEL, NULL, e);
}

int sev_receive_start(struct sev_vm *vm, uint32_t policy, const uint8_t source_pdh[SEV_CERT_LEN],
		      const uint8_t session[SEV_SESSION_LEN], struct err *e)
{
	struct kvm_sev_receive_start params = {
		.policy = policy,
		.pdh_uaddr = (uintptr_t)source_pdh,
		.pdh_len = SEV_CERT_LEN,
		.session_uaddr = (uintptr_t)session,
		.session_len = SEV_SESSION_LEN,
	};

	return vm_call(vm, KVM_SEV_RECEIVE_START, &params, e);
}

int sev_receive_update(struct sev_vm *vm, void *p, size_t len,
		       const uint8_t hdr[SEV_PACKET_HDR_LEN], const void *packet, struct err *e)
{
	struct kvm_sev_receive_update_data params = {
		.hdr_uaddr = (uintptr_t)hdr,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.guest_uaddr = (uintptr_t)p,
		.guest_len = (uint32_t)len,
		.trans_uaddr = (uintptr_t)packet,
		.trans_len = (uint32_t)len,
	};
	int r = len_check(KVM_SEV_RECEIVE_UPDATE_DATA, len, e);

	return r < 0 ? r : vm_call(vm, KVM_SEV_RECEIVE_UPDATE_DATA, &params, e);
}

int sev_receive_update_vmsa(struct sev_vm *vm, uint32_t vcpu, const uint8_t hdr[SEV_PACKET_HDR_LEN],
			    const uint8_t packet[SEV_VMSA_PACKET_LEN], struct err *e)
{
	struct update_vmsa params = {
		.vcpu = vcpu,
		.hdr_uaddr = (uintptr_t)hdr,
		.hdr_len = SEV_PACKET_HDR_LEN,
		.trans_uaddr = (uintptr_t)packet,
		.trans_len = SEV_VMSA_PACKET_LEN,
	};

	return vm_call(vm, KVM_SEV_RECEIVE_UPDATE_VMSA, &params, e);
}

int sev_receive_finish(struct sev_vm *vm, struct err *e)
{
	return vm_call(vm, KVM_SEV_RECEIVE_FINISH, NULL, e);
}
