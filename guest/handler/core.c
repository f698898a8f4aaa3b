/* SPDX-License-Identifier: Apache-2.0 */

/* What comes by the mailbox, and when it may. */

#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"

/* A vCPU that holds the lock is out of it within some hundred nanoseconds, unless the host stopped
 * it; START takes longer, to clear the epochs, and nobody else has work then. */
#define LOCK_TRIES 100000u

void handler_init(struct handler *h, const struct handler_env *env)
{
	__builtin_memset(h, 0, sizeof(*h));
	h->env = env;
}

bool handler_lock(struct handler *h)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (!__atomic_exchange_n(&h->lock, 1, __ATOMIC_ACQUIRE))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

void handler_unlock(struct handler *h)
{
	__atomic_store_n(&h->lock, 0, __ATOMIC_RELEASE);
}

/* --- commands; the lock is held --------------------------------------------------------------- */

typedef enum handler_status command(struct handler *h, struct handler_call *c);

static enum handler_status do_status(struct handler *h, struct handler_call *c)
{
	struct handler_owner owner = { 0 };
	uint8_t *r = c->result;

	own_put32(r + HANDLER_R_VERSION, HANDLER_VERSION);
	if (handler_secret_get(h->env->secret, HANDLER_SECRET_LEN, &owner) == HANDLER_OK) {
		own_put32(r + HANDLER_R_FLAGS, owner.flags);
		__builtin_memcpy(r + HANDLER_R_GUEST, owner.guest, sizeof(owner.guest));
	}
	own_wipe(&owner, sizeof(owner));
	own_put64(r + HANDLER_R_PAGES, h->pages);
	own_put64(r + HANDLER_R_EPOCH, h->epoch);
	own_put32(r + HANDLER_R_CIPHER, h->env->cipher);
	return HANDLER_OK;
}

/* A vCPU that is stopped half-way through a page would go on writing it into the next session. */
static bool taking(const struct handler *h)
{
	return h->role == HANDLER_TARGET && h->busy;
}

static enum handler_status do_init(struct handler *h, struct handler_call *c)
{
	enum handler_status s;

	if (taking(h))
		return HANDLER_E_BUSY;
	s = handler_session_init(h, (enum handler_role)own_get32(c->arg));
	if (s == HANDLER_OK)
		__builtin_memcpy(c->result, h->nonce, sizeof(h->nonce));
	return s;
}

static enum handler_status do_start(struct handler *h, struct handler_call *c)
{
	enum handler_status s = handler_session_start(h, c->arg);

	__builtin_memcpy(c->result, h->session, sizeof(h->session));
	return s;
}

static enum handler_status do_manifest(struct handler *h, struct handler_call *c)
{
	return handler_manifest(h, c->result);
}

static enum handler_status do_verify(struct handler *h, struct handler_call *c)
{
	return handler_verify(h, c->arg, c->result);
}

static enum handler_status do_seal(struct handler *h, struct handler_call *c)
{
	return handler_seal(h, c->arg, c->result);
}

static enum handler_status do_release(struct handler *h, struct handler_call *c)
{
	return handler_release(h, c->arg);
}

static enum handler_status do_reset(struct handler *h, struct handler_call *c)
{
	(void)c;
	if (taking(h))
		return HANDLER_E_BUSY;
	handler_session_end(h);
	return HANDLER_OK;
}

/* --- which, and when -------------------------------------------------------------------------- */

#define IN(state) (1u << (state))
#define IN_ANY (~0u)

static const struct {
	command *run;
	unsigned states;
} commands[HANDLER_COMMANDS] = {
	[HANDLER_STATUS] = { do_status, IN_ANY },
	[HANDLER_INIT] = { do_init, IN(HANDLER_IDLE) | IN(HANDLER_OPEN) | IN(HANDLER_RELEASED) },
	[HANDLER_START] = { do_start, IN(HANDLER_OPEN) },
	[HANDLER_MANIFEST] = { do_manifest, IN(HANDLER_SENDING) },
	[HANDLER_VERIFY] = { do_verify, IN(HANDLER_TAKING) },
	[HANDLER_SEAL] = { do_seal, IN(HANDLER_FROZEN) },
	[HANDLER_RELEASE] = { do_release, IN(HANDLER_VERIFIED) },
	[HANDLER_RESET] = { do_reset, IN_ANY & ~IN(HANDLER_SEALED) },
};

static enum handler_status locked_run(struct handler *h, struct handler_call *c)
{
	enum handler_status s;

	if (!handler_lock(h))
		return HANDLER_E_BUSY;
	if (commands[c->command].states & IN(h->state))
		s = commands[c->command].run(h, c);
	else
		s = h->state == HANDLER_SEALED ? HANDLER_E_SEALED : HANDLER_E_STATE;
	handler_unlock(h);
	return s;
}

static enum handler_status call_run(struct handler *h, struct handler_worker *w,
				    struct handler_call *c)
{
	if (c->command == HANDLER_EXPORT)
		return handler_export(h, w, c);
	if (c->command == HANDLER_IMPORT)
		return handler_import(h, w, c);
	if (c->command >= HANDLER_COMMANDS || !commands[c->command].run)
		return HANDLER_E_COMMAND;
	return locked_run(h, c);
}

static enum handler_status call_fetch(struct handler_call *c)
{
	const uint8_t *m = c->mailbox;
	uint32_t sizes = host_get32(m + HANDLER_M_VERSION);

	c->command = host_get32(m + HANDLER_M_COMMAND);
	c->count = host_get32(m + HANDLER_M_COUNT);
	host_get(c->arg, m + HANDLER_M_ARG, HANDLER_ARG_LEN);
	if (host_get32(m + HANDLER_M_MAGIC) != HANDLER_MAGIC ||
	    (sizes & 0xffff) != HANDLER_VERSION || sizes >> 16 != HANDLER_DESC_LEN ||
	    c->count > HANDLER_BATCH)
		return HANDLER_E_MAILBOX;
	return HANDLER_OK;
}

void handler_answer(struct handler *h, struct handler_worker *w, uint8_t *mailbox)
{
	struct handler_call c = { .mailbox = mailbox };
	enum handler_status s = call_fetch(&c);

	if (s == HANDLER_OK)
		s = call_run(h, w, &c);
	host_put(mailbox + HANDLER_M_RESULT, c.result, HANDLER_RESULT_LEN);
	host_put32(mailbox + HANDLER_M_DONE, c.done);
	host_put32(mailbox + HANDLER_M_STATE, h->state);
	host_put32(mailbox + HANDLER_M_STATUS, s);
	host_put32(mailbox + HANDLER_M_SERIAL, ++w->serial);
}
