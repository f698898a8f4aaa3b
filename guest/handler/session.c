/* SPDX-License-Identifier: Apache-2.0 */

/* A session: fresh random numbers of both sides and the owner's key make its keys, so that no key
 * serves twice, whatever was broken off, restarted or played back before. */

#include <bearssl.h>

#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"

/* {label, 24 bytes, zero padded; u32 version, u32 direction; guest; nram x {start, end}} */
#define INFO_LABEL_LEN 24u
#define INFO_LEN (INFO_LABEL_LEN + 8 + 16 + HANDLER_RAM_RANGES * 16)

enum direction { DIR_SESSION, DIR_FORTH, DIR_BACK };

static void info_make(const struct handler *h, enum direction dir, uint8_t info[INFO_LEN])
{
	static const char label[INFO_LABEL_LEN] = "sevmig handler";
	uint8_t *p = info;

	__builtin_memset(info, 0, INFO_LEN);
	__builtin_memcpy(p, label, INFO_LABEL_LEN);
	p += INFO_LABEL_LEN;
	own_put32(p, HANDLER_VERSION);
	own_put32(p + 4, dir);
	p += 8;
	__builtin_memcpy(p, h->owner.guest, sizeof(h->owner.guest));
	p += sizeof(h->owner.guest);
	for (uint32_t i = 0; i < h->env->nram; i++, p += 16) {
		own_put64(p, h->env->ram[i].start);
		own_put64(p + 8, h->env->ram[i].end);
	}
}

/* RFC 5869, salted with the source's nonce, then the target's. */
static void derive(const struct handler *h, const uint8_t salt[2 * HANDLER_NONCE_LEN],
		   enum direction dir, uint8_t *out, size_t len)
{
	uint8_t info[INFO_LEN];
	br_hkdf_context c;

	info_make(h, dir, info);
	br_hkdf_init(&c, &br_sha256_vtable, salt, 2 * (size_t)HANDLER_NONCE_LEN);
	br_hkdf_inject(&c, h->owner.key, sizeof(h->owner.key));
	br_hkdf_flip(&c);
	br_hkdf_produce(&c, info, sizeof(info), out, len);
	own_wipe(&c, sizeof(c));
}

static void keys_make(struct handler *h, const uint8_t salt[2 * HANDLER_NONCE_LEN])
{
	uint8_t key[32];

	derive(h, salt, DIR_SESSION, h->session, sizeof(h->session));
	derive(h, salt, DIR_FORTH, key, sizeof(key));
	gcm_key_init(h->env->cipher, &h->forth, key);
	derive(h, salt, DIR_BACK, key, sizeof(key));
	gcm_key_init(h->env->cipher, &h->back, key);
	own_wipe(key, sizeof(key));
}

void handler_session_end(struct handler *h)
{
	h->state = HANDLER_IDLE;
	h->generation++;
	h->busy = 0;
	h->epoch = 0;
	h->pages = 0;
	own_wipe(h->nonce, sizeof(h->nonce));
	own_wipe(h->session, sizeof(h->session));
	own_wipe(&h->owner, sizeof(h->owner));
	own_wipe(&h->forth, sizeof(h->forth));
	own_wipe(&h->back, sizeof(h->back));
}

static enum handler_status role_check(const struct handler *h, enum handler_role role)
{
	switch (role) {
	case HANDLER_SOURCE:
		if (!(h->owner.flags & HANDLER_F_MAY_SEND))
			return HANDLER_E_POLICY;
		/* Another copy of a guest that may still go on where it comes from. */
		return h->half_filled ? HANDLER_E_STATE : HANDLER_OK;
	case HANDLER_TARGET:
		if (!(h->owner.flags & HANDLER_F_MAY_RECEIVE))
			return HANDLER_E_POLICY;
		/* What lives here now must not be replaced by an older state of it. */
		return h->arrived ? HANDLER_E_STATE : HANDLER_OK;
	}
	return HANDLER_E_COMMAND;
}

enum handler_status handler_session_init(struct handler *h, enum handler_role role)
{
	enum handler_status s;

	handler_session_end(h);
	s = handler_secret_get(h->env->secret, HANDLER_SECRET_LEN, &h->owner);
	if (s == HANDLER_OK)
		s = role_check(h, role);
	if (s == HANDLER_OK && !h->env->random(h->nonce, sizeof(h->nonce)))
		s = HANDLER_E_RANDOM;
	if (s != HANDLER_OK) {
		handler_session_end(h);
		return s;
	}
	h->role = role;
	h->state = HANDLER_OPEN;
	return HANDLER_OK;
}

static uint64_t ram_end(const struct handler_env *env)
{
	return env->nram ? env->ram[env->nram - 1].end : 0;
}

enum handler_status handler_session_start(struct handler *h, const uint8_t peer[HANDLER_NONCE_LEN])
{
	bool source = h->role == HANDLER_SOURCE;
	uint8_t salt[2 * HANDLER_NONCE_LEN];

	__builtin_memcpy(salt, source ? h->nonce : peer, HANDLER_NONCE_LEN);
	__builtin_memcpy(salt + HANDLER_NONCE_LEN, source ? peer : h->nonce, HANDLER_NONCE_LEN);
	keys_make(h, salt);
	__builtin_memset(h->env->epochs, 0, ram_end(h->env) / HANDLER_PAGE * sizeof(uint32_t));
	h->half_filled = h->half_filled || !source;
	h->generation++;
	h->state = source ? HANDLER_SENDING : HANDLER_TAKING;
	return HANDLER_OK;
}
