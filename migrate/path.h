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

struct mig_path;

/* What START needs of the source's side. */
struct mig_session {
	uint32_t policy;
	uint8_t pdh[SEV_CERT_LEN];
	uint8_t session[SEV_SESSION_LEN];
};

struct mig_path_ops {
	int (*send_start)(struct mig_path *p, const struct sev_peer_certs *to,
			  struct mig_session *out, struct err *e);
	/* Seal v[0..n) (at is filled in): headers and lengths into v, packets into body, one after
	 * another. */
	int (*send_pages)(struct mig_path *p, struct stream_private_entry *v, uint32_t n,
			  uint8_t *body, struct err *e);
	/* 0: this side cannot run the guest any more. -errno: it surely still can. */
	int (*send_finish)(struct mig_path *p, struct err *e);
	int (*send_cancel)(struct mig_path *p, struct err *e);
	int (*recv_start)(struct mig_path *p, const struct stream_start *m, struct err *e);
	int (*recv_pages)(struct mig_path *p, struct stream_private *m, struct err *e);
	int (*recv_finish)(struct mig_path *p, struct err *e);
};

struct mig_path {
	const struct mig_path_ops *ops;
	const struct mig_mem *mem;     /* borrowed */
	struct sev_platform *platform; /* borrowed */
};

/* SEND_UPDATE_DATA and RECEIVE_UPDATE_DATA by the two Secure Processors. */
void mig_path_psp(struct mig_path *p, const struct mig_mem *mem, struct sev_platform *platform);
