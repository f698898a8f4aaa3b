/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A hostile host: commands, descriptors and window contents as the input has them, against a
 * handler that sends and one that takes. Whatever comes, guest memory outside the pages of a
 * session, and the handler's own range, stay as they were; nothing runs on what was not sealed.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rdwr.h"
#include "guest/handler/bytes.h"
#include "guest/handler/handler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (HANDLER_END + 0x4000ull)
#define PAGES 4u /* that exist: two below the handler's range and two above */

struct host {
	struct handler_env env;
	struct handler h;
	struct handler_worker w;
	uint8_t page[PAGES][HANDLER_PAGE];
	uint8_t mailbox[HANDLER_MAILBOX_LEN] __attribute__((aligned(8)));
};

static uint8_t window[HANDLER_WINDOW_LEN], secret[HANDLER_SECRET_LEN];
static uint32_t epochs[2][RAM / HANDLER_PAGE];

/* Few addresses have memory; the rest of RAM is one page that takes everything. */
static uint8_t *page_at(void *ctx, uint64_t gpa)
{
	struct host *s = ctx;

	if (gpa % HANDLER_PAGE || gpa > RAM - HANDLER_PAGE ||
	    (gpa < HANDLER_END && gpa + HANDLER_PAGE > HANDLER_BASE))
		abort();
	return s->page[gpa / HANDLER_PAGE % PAGES];
}

static uint32_t randoms; /* never the same twice in a run */

static bool random_fill(void *p, size_t len)
{
	memset(p, 0x5a, len);
	memcpy(p, &randoms, sizeof(randoms));
	randoms++;
	return true;
}

static void secret_put(void)
{
	static const uint8_t head[40] = { 0x42, 0xf5, 0x74, 0x1e, 0xdd, 0x71, 0x66, 0x4d,
					  0x96, 0x3e, 0xef, 0x42, 0x87, 0xff, 0x17, 0x3b,
					  96,   0,    0,    0,    0x23, 0xc9, 0xb6, 0xbb,
					  0xcb, 0xff, 0xc6, 0x41, 0xa1, 0xd1, 0x6e, 0xf7,
					  0xc5, 0xac, 0xe2, 0x5f, 76,   0,    0,    0 };

	memcpy(secret, head, sizeof(head));
	memset(secret + 40, 7, HANDLER_S_LEN);
	own_put32(secret + 40, 0x10001);
	own_put32(secret + 40 + HANDLER_S_FLAGS, HANDLER_F_ALL);
}

static void host_init(struct host *s, unsigned i)
{
	memset(s, 0, sizeof(*s));
	memset(epochs[i], 0, sizeof(epochs[i]));
	s->env = (struct handler_env){
		.nram = 1,
		.ram = { { 0, RAM } },
		.secret = secret,
		.epochs = epochs[i],
		.window = window,
		.page = page_at,
		.random = random_fill,
		.ctx = s,
		.cipher = HANDLER_CIPHER_SSE,
	};
	handler_init(&s->h, &s->env);
}

/* {u8: which handler, bits 4-7 of how many descriptors}, {u32 command, u32 count}, the argument,
 * the descriptors, some bytes of the window. */
static bool command(struct host *s, struct rd *in)
{
	uint8_t how = 0, fill = 0;
	uint32_t cmd = 0, count = 0;
	struct host *h;

	rd_u8(in, &how);
	rd_le32(in, &cmd);
	rd_le32(in, &count);
	if (!rd_ok(in))
		return false;
	h = &s[how & 1];
	own_put32(h->mailbox + HANDLER_M_MAGIC, how & 2 ? cmd : HANDLER_MAGIC);
	own_put32(h->mailbox + HANDLER_M_VERSION, HANDLER_VERSION | HANDLER_DESC_LEN << 16);
	own_put32(h->mailbox + HANDLER_M_COMMAND, cmd & 0xf ? cmd % (HANDLER_COMMANDS + 1) : cmd);
	own_put32(h->mailbox + HANDLER_M_COUNT, how & 4 ? count : count % 4);
	/* The other's last result or nonce, as a host would pass it on; or what the input has. */
	memcpy(h->mailbox + HANDLER_M_ARG, s[~how & 1].mailbox + HANDLER_M_RESULT, HANDLER_ARG_LEN);
	if (own_get32(h->mailbox + HANDLER_M_COMMAND) == HANDLER_START)
		memcpy(h->mailbox + HANDLER_M_ARG, s[~how & 1].h.nonce, HANDLER_NONCE_LEN);
	if (how & 8)
		rd_bytes(in, h->mailbox + HANDLER_M_ARG, 8);
	for (unsigned i = 0; i < (how >> 4 & 3); i++)
		rd_bytes(in, h->mailbox + HANDLER_M_DESC + i * HANDLER_DESC_LEN, HANDLER_DESC_LEN);
	if (how & 0x40)
		memcpy(h->mailbox + HANDLER_M_DESC, s[~how & 1].mailbox + HANDLER_M_DESC, 256);
	if ((how & 0x80) && rd_u8(in, &fill) == 0)
		window[fill * 16u] ^= fill;
	handler_answer(&h->h, &h->w, h->mailbox);
	return true;
}

/* What came in is only what the other sealed: a released target has the source's epochs. */
static void check(const struct host *s)
{
	for (unsigned i = 0; i < 2; i++) {
		if (s[i].h.lock || (unsigned)s[i].h.state >= HANDLER_STATES)
			abort();
		if (s[i].h.state == HANDLER_RELEASED && s[!i].h.state != HANDLER_SEALED)
			abort();
		if (s[i].h.state == HANDLER_VERIFIED &&
		    (s[!i].h.state == HANDLER_FROZEN || s[!i].h.state == HANDLER_SEALED) &&
		    memcmp(s[i].h.session, s[!i].h.session, HANDLER_SESSION_LEN) == 0 &&
		    memcmp(epochs[0], epochs[1], sizeof(epochs[0])) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct host s[2];
	struct rd in = rd_of(data, size);

	secret_put();
	randoms = 0;
	host_init(&s[0], 0);
	host_init(&s[1], 1);
	for (unsigned n = 0; n < 64 && command(s, &in); n++)
		check(s);
	return 0;
}
