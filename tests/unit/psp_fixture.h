/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Two platforms under one root, and guests in every state, for the tests of psp/. Made once a
 * program: keys take time. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "psp/state.h"

#define PAGE 4096u
#define RUNS(call) assert_int_equal(call, PSP_SUCCESS)

/* Everything a sender must know of a target. */
struct certs {
	uint8_t pdh[PSP_CERT_LEN];
	uint8_t plat[PSP_PLAT_CHAIN_LEN];
	uint8_t amd[PSP_AMD_CHAIN_MAX];
	size_t amd_len;
};

struct fixture {
	struct psp *a, *b;                                 /* b's CEK is signed by a's ASK */
	uint8_t page[PAGE] __attribute__((aligned(4096))); /* private memory */
};

static const struct psp_bytes none;

static inline struct psp *psp_of(const struct psp_make *m)
{
	struct psp *p = NULL;
	struct err e = { 0 };
	int r = psp_make(m, &p, &e);

	if (r < 0)
		print_error("psp_make: %s\n", e.msg);
	assert_int_equal(r, 0);
	return p;
}

static inline int fixture_setup(void **state)
{
	static struct fixture f;
	struct psp_make own = { .root_bits = 2048 }, under = { 0 };

	f.a = psp_of(&own);
	under.ca = f.a;
	f.b = psp_of(&under);
	RUNS(psp_init(f.a, true));
	RUNS(psp_init(f.b, true));
	*state = &f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	psp_free(f->a);
	psp_free(f->b);
	return 0;
}

static inline void certs_of(struct psp *p, struct certs *out)
{
	struct psp_room pdh = { out->pdh, sizeof(out->pdh) };
	struct psp_room plat = { out->plat, sizeof(out->plat) };
	struct err e = { 0 };

	memset(out->amd, 0, sizeof(out->amd));
	RUNS(psp_pdh_cert_export(p, &pdh, &plat));
	assert_int_equal(psp_amd_chain(p, out->amd, sizeof(out->amd), &out->amd_len, &e), 0);
}

static inline struct psp_send_to to_certs(const struct certs *c)
{
	return (struct psp_send_to){
		.pdh = { c->pdh, sizeof(c->pdh) },
		.plat = { c->plat, sizeof(c->plat) },
		.amd = { c->amd, c->amd_len },
	};
}

/* A free ASID for a policy. */
static inline uint32_t asid_for(struct psp *p, uint32_t policy)
{
	uint32_t asid = policy & PSP_POLICY_ES ? 1 : PSP_ASID_MIN_SEV;

	for (const struct psp_guest *g = p->guests; g;)
		if (g->asid == asid) {
			asid++;
			g = p->guests;
		} else {
			g = g->next;
		}
	return asid;
}

static inline uint8_t state_of(struct psp *p, uint32_t handle)
{
	struct psp_guest_status s;

	RUNS(psp_guest_status(p, handle, &s));
	return s.state;
}

/* A launched, active guest without an owner, RUNNING, one page measured. */
static inline uint32_t guest_launch(struct fixture *f, uint32_t policy, enum psp_guest_state upto)
{
	uint8_t m[PSP_MEASURE_LEN];
	struct psp_room measure = { m, sizeof(m) };
	uint32_t handle = 0;

	RUNS(psp_launch_start(f->a, &handle, policy, none, none));
	RUNS(psp_activate(f->a, handle, asid_for(f->a, policy)));
	RUNS(psp_launch_update_data(f->a, handle, f->page, f->page, PAGE));
	if (upto == PSP_GSTATE_LUPDATE)
		return handle;
	RUNS(psp_launch_measure(f->a, handle, &measure));
	if (upto == PSP_GSTATE_LSECRET)
		return handle;
	RUNS(psp_launch_finish(f->a, handle));
	return handle;
}

static inline void guest_send_start(struct fixture *f, uint32_t handle, struct psp *target,
				    uint8_t session[PSP_SESSION_LEN])
{
	struct psp_room room = { session, PSP_SESSION_LEN };
	struct psp_send_to to;
	uint32_t policy = 0;
	struct certs c;

	certs_of(target, &c);
	to = to_certs(&c);
	RUNS(psp_send_start(f->a, handle, &to, &room, &policy));
}

/* The receiving side in f->b of what f->a sends. */
static inline uint32_t guest_receive_start(struct fixture *f, uint32_t policy,
					   const uint8_t session[PSP_SESSION_LEN])
{
	struct certs c;
	uint32_t handle = 0;

	certs_of(f->a, &c);
	RUNS(psp_receive_start(f->b, &handle, policy, (struct psp_bytes){ c.pdh, PSP_CERT_LEN },
			       (struct psp_bytes){ session, PSP_SESSION_LEN }));
	RUNS(psp_activate(f->b, handle, asid_for(f->b, policy)));
	return handle;
}

static inline void guest_end(struct psp *p, uint32_t handle)
{
	enum psp_status s = psp_deactivate(p, handle);

	assert_true(s == PSP_SUCCESS || s == PSP_INACTIVE);
	RUNS(psp_decommission(p, handle));
}
