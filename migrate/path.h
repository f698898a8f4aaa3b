/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One way to move private pages: who seals and opens them, and what makes the source's guest
 * unrunnable. The common part (passes, shared pages, switch-over) knows no other difference.
 */

#include "abi/handler.h"
#include "migrate/crew.h"
#include "migrate/mem.h"
#include "migrate/mirror.h"
#include "sev/sev.h"
#include "stream/hello.h"
#include "stream/manifest.h"
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

/* What both sides prove to each other before the guest is given up, where the Secure Processor does
 * not see to that. */
struct mig_proof_ops {
	/* Source: manifest, and after finish() the release. Target: a receipt for the manifest. */
	int (*make)(struct mig_path *p, enum stream_proof what, struct stream_manifest *out,
		    struct err *e);
	/* What the other side proved, for the next step, which checks it. */
	int (*take)(struct mig_path *p, const struct stream_manifest *m, struct err *e);
};

/* This side's migration handler, while it is at work. */
struct mig_handler_side {
	struct mig_mirror *mirror; /* borrowed; NULL: there is none on this path */
	enum handler_role role;
	struct mig_crew crew; /* one a vCPU */
	uint8_t nonce[HANDLER_NONCE_LEN];
	uint8_t peer[HANDLER_NONCE_LEN];
	uint8_t record[HANDLER_RECORD_LEN];
	uint32_t has; /* whose record that is: enum stream_proof */
};

struct mig_path {
	const struct mig_send_ops *send;
	const struct mig_recv_ops *recv;
	const struct mig_proof_ops *proof; /* NULL: none is needed */
	struct mig_handler_side handler;
	const struct mig_mem *mem;     /* borrowed */
	struct sev_platform *platform; /* borrowed */
};

/* SEND_UPDATE_DATA and RECEIVE_UPDATE_DATA by the two Secure Processors. */
void mig_path_psp(struct mig_path *p, const struct mig_mem *mem, struct sev_platform *platform);

struct mig_handler_params {
	enum handler_role role;
	unsigned vcpus; /* of the mirror; 0: one */
};
/* By the guest's handler, which begins to work: p->handler.nonce is there. -EPERM: the guest's
 * owner does not allow it; after any failure the path is what it was before, less its handler. */
int must_check mig_path_handler(struct mig_path *p, const struct mig_mem *mem,
				struct mig_mirror *mirror, const struct mig_handler_params *params,
				struct err *e);
/* Where batches must have their bodies, or NULL: anywhere. */
uint8_t *mig_path_bodies(const struct mig_path *p);
/* Does this START want a handler? */
bool mig_path_handler_meant(const struct stream_start *m);
/* Its handler is gone. */
void mig_path_fini(struct mig_path *p);
