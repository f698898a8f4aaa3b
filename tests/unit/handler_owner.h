/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A guest owner who launches guests with a migration handler and gives each the key. */

#include "abi/handler.h"
#include "migrate/handler_call.h"
#include "migrate/vm.h"
#include "owner/secret.h"
#include "owner/session.h"
#include "sev/sev.h"
#include "tests/unit/vmm_util.h"

struct handler_owner_of {
	struct owner_session session;
	uint8_t entry[HANDLER_S_LEN];
	uint8_t packet[1024];
	uint32_t flags;
	uint8_t key;
};

/* What vm_boot() asks between measurement and start. */
static inline int owner_secret_give(void *ctx, const uint8_t measurement[SEV_MEASURE_LEN],
				    struct vm_secret *out, struct err *e)
{
	struct handler_owner_of *o = ctx;
	struct owner_secret s = { .p = o->entry, .len = sizeof(o->entry) };
	auto_buf struct buf table = { 0 };
	int r = owner_guid_get(HANDLER_SECRET_GUID, s.guid, e);

	memset(o->entry, o->key, sizeof(o->entry));
	memset(o->entry, 0, HANDLER_S_GUEST);
	o->entry[HANDLER_S_VERSION] = o->entry[HANDLER_S_MIN_VERSION] = 1;
	o->entry[HANDLER_S_FLAGS] = (uint8_t)o->flags;
	if (r == 0)
		r = owner_secret_table(&s, 1, &table, e);
	if (r == 0)
		r = owner_secret_seal(&o->session.keys, measurement, table.p, table.len, out->hdr,
				      o->packet, e);
	out->at = gpa(HANDLER_SECRET);
	out->packet = o->packet;
	out->len = table.len;
	return r;
}

/* Launched, not running. flags 0: without any secret. */
static inline struct vm *handler_vm(struct util_place *u, const char *image, uint32_t flags,
				    uint64_t memory)
{
	static const uint8_t spin[] = { 0xeb, 0xfe };
	struct handler_owner_of o = { .flags = flags, .key = 7 };
	struct vm_config cfg = {
		.name = "guest", .memory = memory, .vcpus = 1, .console_in = -1, .console_out = -1
	};
	struct sev_peer_certs certs;
	struct vm *vm = NULL;
	struct err e = { 0 };
	char path[96];
	struct vm_boot boot = { .kernel = path,
				.handler = image,
				.secret = flags ? owner_secret_give : NULL,
				.secret_ctx = &o,
				.dh = o.session.godh,
				.dh_len = sizeof(o.session.godh),
				.session = o.session.blob,
				.session_len = sizeof(o.session.blob) };

	if (!u->platform)
		skip();
	util_kernel(u, spin, sizeof(spin), path);
	util_ok(sev_certs_export(u->platform, &certs, &e), &e);
	util_ok(owner_session_make(certs.pdh, 0, &o.session, &e), &e);
	util_ok(vm_new(&cfg, u->platform, &vm, &e), &e);
	util_ok(vm_boot(vm, &boot, &e), &e);
	owner_session_wipe(&o.session);
	assert_non_null(vm_migratable(vm)->handler);
	return vm;
}
