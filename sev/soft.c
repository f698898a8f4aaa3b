/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /dev/sev in software: what Linux's ccp driver does around the Secure Processor's platform
 * commands, with its checks in its order.
 *
 * Where kernels differ this is Linux 6.12: a command that needs INIT and finds the platform without
 * it gets it for its duration (6.1 leaves it in INIT). SNP's commands (9 to 12) are EINVAL, as on
 * kernels that do not know them. Opening a platform is what loading kvm_amd is: INIT with ES.
 * Another process with guests makes this one's platform WORKING, too.
 */

#include "sev/soft_vm.h"

#include <string.h>

#include "base/auto.h"
#include "base/log.h"

static uint32_t others_guests(const struct soft_platform *p)
{
	return soft_dir_others(&p->dir, SOFT_GUEST, SOFT_GUEST + PSP_ASID_MAX + 1);
}

/* The driver's idea, of this process alone. */
static enum psp_platform_state platform_state(struct soft_platform *p)
{
	struct psp_platform_status st = { 0 };

	return psp_platform_status(p->psp, &st) == PSP_SUCCESS ? st.state : PSP_PSTATE_UNINIT;
}

/* What firmware says to a command that needs INIT where others have guests. */
static enum psp_status if_alone(const struct soft_platform *p)
{
	return others_guests(p) ? PSP_INVALID_PLATFORM_STATE : PSP_SUCCESS;
}

/* --- commands: the lock and the state directory's are held ----------------------------------- */

struct call {
	uint64_t data;
	bool writable; /* the descriptor */
};

typedef int platform_cmd(struct soft_platform *p, const struct call *call, uint32_t *fw);

/* Run one firmware command in INIT or WORKING. */
#define IN_INIT(p, fw, call)                                                                       \
	({                                                                                         \
		bool up_ = platform_state(p) != PSP_PSTATE_UNINIT;                                 \
		int r_ = up_ ? 0 : soft_fw(psp_init((p)->psp, true), (fw));                        \
		if (r_ == 0) {                                                                     \
			r_ = soft_fw((call), (fw));                                                \
			if (!up_)                                                                  \
				(void)!psp_shutdown((p)->psp);                                     \
		}                                                                                  \
		r_;                                                                                \
	})

static int do_factory_reset(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	int r = 0;

	if (!call->writable)
		return -EPERM;
	*fw = PSP_SUCCESS; /* of the status that is asked first */
	if (platform_state(p) == PSP_PSTATE_WORKING || others_guests(p))
		return -EBUSY;
	if (platform_state(p) == PSP_PSTATE_INIT)
		r = soft_fw(psp_shutdown(p->psp), fw);
	return r < 0 ? r : soft_fw(psp_platform_reset(p->psp), fw);
}

static int do_status(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	struct psp_platform_status st = { 0 };
	struct sev_user_data_status out = { 0 };
	int r = soft_fw(psp_platform_status(p->psp, &st), fw);

	if (r < 0)
		return r;
	out.api_major = st.api_major;
	out.api_minor = st.api_minor;
	out.state = st.state;
	out.flags = st.flags;
	out.build = st.build;
	out.guest_count = st.guest_count;
	if (st.state != PSP_PSTATE_UNINIT && others_guests(p)) {
		out.state = PSP_PSTATE_WORKING;
		out.guest_count += others_guests(p);
	}
	return soft_user_put(&p->user, call->data, &out, sizeof(out));
}

static int do_pek_gen(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	enum psp_status s = if_alone(p);

	if (!call->writable)
		return -EPERM;
	return IN_INIT(p, fw, s == PSP_SUCCESS ? psp_pek_gen(p->psp) : s);
}

static int do_pdh_gen(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	return call->writable ? IN_INIT(p, fw, psp_pdh_gen(p->psp)) : -EPERM;
}

static int do_pek_csr(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	struct sev_user_data_pek_csr in;
	uint8_t blob[PSP_CERT_LEN];
	struct psp_room room = { blob, sizeof(blob) };
	int r = call->writable ? 0 : -EPERM;

	if (r == 0)
		r = soft_user_get(&p->user, &in, call->data, sizeof(in));
	if (r < 0)
		return r;
	if (!in.address || !in.length)
		room = (struct psp_room){ 0 };
	else if (in.length > SOFT_BLOB_MAX)
		return -EFAULT;
	else if (in.length < room.len)
		room.len = in.length;
	r = IN_INIT(p, fw, psp_pek_csr(p->psp, &room));
	in.length = room.len;
	if (soft_user_put(&p->user, call->data, &in, sizeof(in)) < 0)
		return -EFAULT;
	return r < 0 ? r : soft_user_put(&p->user, in.address, blob, room.len);
}

static int do_pdh_export(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	struct sev_user_data_pdh_cert_export in;
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_PLAT_CHAIN_LEN];
	struct psp_room pr = { pdh, sizeof(pdh) }, cr = { chain, sizeof(chain) };
	/* INIT is not for readers to ask for. */
	int r = call->writable || platform_state(p) != PSP_PSTATE_UNINIT ? 0 : -EPERM;

	if (r == 0)
		r = soft_user_get(&p->user, &in, call->data, sizeof(in));
	if (r < 0)
		return r;
	if (!in.pdh_cert_address || !in.pdh_cert_len || !in.cert_chain_address ||
	    !in.cert_chain_len) {
		pr = cr = (struct psp_room){ 0 };
	} else {
		if (in.pdh_cert_len > SOFT_BLOB_MAX || in.cert_chain_len > SOFT_BLOB_MAX)
			return -EFAULT;
		pr.len = in.pdh_cert_len < pr.len ? in.pdh_cert_len : pr.len;
		cr.len = in.cert_chain_len < cr.len ? in.cert_chain_len : cr.len;
	}
	r = IN_INIT(p, fw, psp_pdh_cert_export(p->psp, &pr, &cr));
	in.pdh_cert_len = pr.len;
	in.cert_chain_len = cr.len;
	if (soft_user_put(&p->user, call->data, &in, sizeof(in)) < 0)
		return -EFAULT;
	if (r < 0)
		return r;
	r = soft_user_put(&p->user, in.pdh_cert_address, pdh, pr.len);
	return r < 0 ? r : soft_user_put(&p->user, in.cert_chain_address, chain, cr.len);
}

/* A copy: the client may go on writing there. The caller frees *out. */
static int blob_in(struct soft_platform *p, uint64_t uaddr, uint32_t len, uint8_t **out)
{
	if (!uaddr || !len || len > SOFT_BLOB_MAX)
		return -EINVAL;
	*out = malloc(len);
	return *out ? soft_user_get(&p->user, *out, uaddr, len) : -ENOMEM;
}

static int do_cert_import(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	struct sev_user_data_pek_cert_import in;
	auto_mem uint8_t *pek = NULL, *oca = NULL;
	enum psp_status s = if_alone(p);
	int r = call->writable ? 0 : -EPERM;

	if (r == 0)
		r = soft_user_get(&p->user, &in, call->data, sizeof(in));
	if (r == 0)
		r = blob_in(p, in.pek_cert_address, in.pek_cert_len, &pek);
	if (r == 0)
		r = blob_in(p, in.oca_cert_address, in.oca_cert_len, &oca);
	if (r < 0)
		return r;
	return IN_INIT(p, fw,
		       s == PSP_SUCCESS
			       ? psp_pek_cert_import(p->psp,
						     (struct psp_bytes){ pek, in.pek_cert_len },
						     (struct psp_bytes){ oca, in.oca_cert_len })
			       : s);
}

#define KERNEL_ALLOC_MAX (4u << 20) /* what kzalloc() gives at most */
#define ENOTSUPP_KERNEL                                                                            \
	524 /* linux/errno.h: never meant for user space, but this is what comes                   \
	     */

/* GET_ID came with SEV API 0.16. */
static bool has_get_id(struct soft_platform *p)
{
	struct psp_platform_status st = { 0 };

	return psp_platform_status(p->psp, &st) == PSP_SUCCESS &&
	       (st.api_major || st.api_minor >= 16);
}

static int do_get_id(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	uint8_t id[PSP_CHIP_ID_LEN];
	struct psp_room room = { id, sizeof(id) };
	int r = has_get_id(p) ? soft_fw(psp_get_id(p->psp, &room), fw) : -ENOTSUPP_KERNEL;

	return r < 0 ? r : soft_user_put(&p->user, call->data, id, room.len);
}

static int do_get_id2(struct soft_platform *p, const struct call *call, uint32_t *fw)
{
	struct sev_user_data_get_id2 in;
	uint8_t id[PSP_CHIP_ID_LEN];
	struct psp_room room = { id, sizeof(id) };
	int r = has_get_id(p) ? soft_user_get(&p->user, &in, call->data, sizeof(in))
			      : -ENOTSUPP_KERNEL;

	if (r < 0)
		return r;
	if (!in.address || !in.length)
		room = (struct psp_room){ 0 };
	else if (in.length > KERNEL_ALLOC_MAX)
		return -ENOMEM;
	else if (in.length < room.len)
		room.len = in.length;
	r = soft_fw(psp_get_id(p->psp, &room), fw);
	in.length = room.len;
	if (soft_user_put(&p->user, call->data, &in, sizeof(in)) < 0)
		return -EFAULT;
	return r < 0 ? r : soft_user_put(&p->user, in.address, id, room.len);
}

static platform_cmd *const commands[SEV_MAX] = {
	[SEV_FACTORY_RESET] = do_factory_reset,
	[SEV_PLATFORM_STATUS] = do_status,
	[SEV_PEK_GEN] = do_pek_gen,
	[SEV_PEK_CSR] = do_pek_csr,
	[SEV_PDH_GEN] = do_pdh_gen,
	[SEV_PDH_CERT_EXPORT] = do_pdh_export,
	[SEV_PEK_CERT_IMPORT] = do_cert_import,
	[SEV_GET_ID] = do_get_id,
	[SEV_GET_ID2] = do_get_id2,
};

/* --- the platform ---------------------------------------------------------------------------- */

/* What the platform keeps and what is on disk are one: load what others changed, run, save. Where
 * the disk fails the command has not happened, and the firmware reports broken hardware. */
int soft_platform_with(struct soft_platform *p, soft_with_state *run, void *arg, uint32_t *fw)
{
	struct err e = { 0 };
	int r = soft_dir_lock(&p->dir, &e);

	if (r == 0)
		r = soft_dir_load(&p->dir, &p->psp, &e);
	if (r == 0) {
		int ret = run(p, arg, fw);

		r = soft_dir_save(&p->dir, p->psp, &e);
		if (r == 0) {
			soft_dir_unlock(&p->dir);
			return ret;
		}
		p->dir.file = (struct stat){ 0 }; /* go back to what the disk says */
	}
	soft_dir_unlock(&p->dir);
	log_err("sev", "%s", e.msg); /* ioctl(2) has no words for it */
	*fw = PSP_HWERROR_PLATFORM;
	return -EIO;
}

struct issue {
	platform_cmd *run;
	struct call call;
};

static int issue_run(struct soft_platform *p, void *arg, uint32_t *fw)
{
	const struct issue *i = arg;

	return i->run(p, &i->call, fw);
}

bool soft_platform_issue(struct soft_platform *p, struct sev_issue_cmd *cmd,
			 const struct soft_caller *by, int *ret)
{
	struct issue i = { .call = { cmd->data, by->writable } };
	uint32_t fw = cmd->error;

	*ret = -EINVAL;
	if (cmd->cmd >= SEV_MAX || !commands[cmd->cmd])
		return false;
	i.run = commands[cmd->cmd];
	soft_platform_enter(p);
	p->user.forget |= by->client;
	p->user.other = by->other;
	*ret = soft_platform_with(p, issue_run, &i, &fw);
	soft_platform_leave(p);
	cmd->error = fw;
	return true;
}

static int soft_issue(struct sev_platform *base, struct sev_issue_cmd *cmd)
{
	const struct soft_caller own = { .writable = true };
	int r;

	soft_platform_issue((struct soft_platform *)base, cmd, &own, &r);
	return r;
}

/* --- fork ------------------------------------------------------------------------------------ */

static unsigned forks;

static void count_fork(void)
{
	forks++;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

unsigned soft_forks(void)
{
	return forks;
}

/* The guests are the parent's. So are their ASIDs, which it goes on to hold. */
static void become_child(struct soft_platform *p)
{
	bool up = platform_state(p) != PSP_PSTATE_UNINIT;

	p->forks = forks;
	soft_dir_forked(&p->dir);
	memset(p->asid_used, 0, sizeof(p->asid_used));
	(void)!psp_shutdown(p->psp); /* legal in every state */
	if (up)
		(void)!psp_init(p->psp, true); /* after a SHUTDOWN it is */
}

void soft_platform_enter(struct soft_platform *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->forks != forks)
		become_child(p);
}

void soft_platform_leave(struct soft_platform *p)
{
	pthread_mutex_unlock(&p->lock);
}

void sev_soft_fork_hold(struct sev_platform *p)
{
	pthread_mutex_lock(&((struct soft_platform *)p)->lock);
}

void sev_soft_fork_release(struct sev_platform *p)
{
	pthread_mutex_unlock(&((struct soft_platform *)p)->lock);
}

/* --- life ------------------------------------------------------------------------------------ */

static int soft_amd_chain(struct sev_platform *base, uint8_t *out, size_t cap, size_t *len,
			  struct err *e)
{
	struct soft_platform *p = (struct soft_platform *)base;
	int r;

	soft_platform_enter(p);
	r = psp_amd_chain(p->psp, out, cap, len, e);
	soft_platform_leave(p);
	return r;
}

static void soft_free(struct sev_platform *base)
{
	struct soft_platform *p = (struct soft_platform *)base;

	psp_free(p->psp);
	soft_dir_fini(&p->dir);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void soft_release(struct soft_platform *p)
{
	soft_free(&p->base);
}
DEFINE_AUTO(soft_platform, struct soft_platform *, soft_release)

static const struct sev_platform_ops soft_ops = {
	.issue = soft_issue,
	.amd_chain = soft_amd_chain,
	.vm_new = soft_vm_new,
	.vm_mirror = soft_vm_mirror,
	.free = soft_free,
};

/* Load and INIT, under the lock: of two processes that open a platform without keys, one makes
 * them. */
static int state_open(struct soft_platform *p, struct err *e)
{
	uint32_t fw = 0;
	int r = soft_dir_lock(&p->dir, e);

	if (r < 0)
		return r;
	soft_dir_clean(&p->dir);
	r = soft_dir_load(&p->dir, &p->psp, e);
	if (r == 0 && soft_fw(psp_init(p->psp, true), &fw) < 0)
		r = err_set(e, -EIO, "%s: INIT: firmware: %s", p->dir.path, sev_status_name(fw));
	if (r == 0)
		r = soft_dir_save(&p->dir, p->psp, e);
	soft_dir_unlock(&p->dir);
	return r;
}

int sev_soft_open(const char *dir, struct sev_platform **out, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	auto_of(soft_platform) struct soft_platform *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "%s: no memory", dir);
	pthread_once(&once, watch_forks);
	p->forks = forks;
	p->base = (struct sev_platform){ .ops = &soft_ops, .name = "soft" };
	p->dir.fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	r = soft_dir_open(&p->dir, dir, e);
	if (r == 0)
		r = state_open(p, e);
	if (r < 0)
		return r;
	*out = &steal_ptr(&p)->base;
	return 0;
}
