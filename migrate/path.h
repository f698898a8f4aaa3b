/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One way to move private pages: who seals and opens them, and what makes the source's guest
 * unrunnable. The common part (passes, shared pages, switch-over) knows no other difference.
 */

#include "migrate/mem.h"
#include "sev/sev.h"
#include "stream/pages.h"
#include "stream/start.h"
#include "stream/vmsa.h"

struct mig_path;

/* What START needs of the source's side. */
struct mig_session {
	uint32_t policy;
	uint8_t pdh[SEV_CERT_LEN];
	uint8_t session[SEV_SESSION_LEN];
};

struct mig_send_ops {
	/* Refuses before anything of the guest leaves what this way cannot move at all. */
	int (*start)(struct mig_path *p, const struct sev_peer_certs *to, struct mig_session *out,
		     struct err *e);
	/* Seal v[0..n) (at is filled in): headers and lengths into v, packets into body, one after
	 * another. */
	int (*pages)(struct mig_path *p, struct stream_private_entry *v, uint32_t n, uint8_t *body,
		     struct err *e);
	/* Seal one vCPU of an SEV-ES guest (index is filled in), which is stopped for good. */
	int (*vcpu)(struct mig_path *p, struct stream_vmsa *v, uint8_t body[STREAM_VMSA_LEN],
		    struct err *e);
	/* 0: this side cannot run the guest any more. -errno: it surely still can. */
	int (*finish)(struct mig_path *p, struct err *e);
	int (*cancel)(struct mig_path *p, struct err *e);
};

struct mig_recv_ops {
	int (*start)(struct mig_path *p, const struct stream_start *m, struct err *e);
	int (*pages)(struct mig_path *p, struct stream_private *m, struct err *e);
	int (*vcpu)(struct mig_path *p, const struct stream_vmsa *v, struct err *e);
	int (*finish)(struct mig_path *p, struct err *e);
};

struct mig_path {
	const struct mig_send_ops *send;
	const struct mig_recv_ops *recv;
	const struct mig_mem *mem;     /* borrowed */
	struct sev_platform *platform; /* borrowed */
};

/* SEND_UPDATE_DATA and RECEIVE_UPDATE_DATA by the two Secure Processors. */
void mig_path_psp(struct mig_path *p, const struct mig_mem *mem, struct sev_platform *platform);
