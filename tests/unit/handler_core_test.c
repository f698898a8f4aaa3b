/* SPDX-License-Identifier: Apache-2.0 */

/* What the owner's secret allows, when which command is due, and the cipher against OpenSSL's. */

#include "crypto/cipher.h"
#include "tests/unit/handler_sides.h"

static uint32_t init(struct side *s, uint32_t role)
{
	return side_call(s, HANDLER_INIT, &role, sizeof(role));
}

static void does_nothing_without_the_owners_key(void **state)
{
	struct side *s = side_new(SIDE_ANY);
	struct parcel p;

	(void)state;
	memset(s->secret, 0, sizeof(s->secret));
	assert_int_equal(init(s, HANDLER_SOURCE), HANDLER_E_NO_KEY);
	assert_int_equal(init(s, HANDLER_TARGET), HANDLER_E_NO_KEY);
	assert_int_equal(side_export(s, SIDE_LOW, &p), HANDLER_E_STATE);
	assert_int_equal(side_call(s, HANDLER_STATUS, NULL, 0), HANDLER_OK);
	side_free(s);
}

static void does_what_the_owner_allows(void **state)
{
	struct side *s = side_new((struct side_owner){ HANDLER_F_MAY_SEND, 1, 1, 1 });

	(void)state;
	assert_int_equal(init(s, HANDLER_TARGET), HANDLER_E_POLICY);
	assert_int_equal(init(s, HANDLER_SOURCE), HANDLER_OK);
	side_secret_put(s, (struct side_owner){ HANDLER_F_MAY_RECEIVE, 1, 1, 1 });
	assert_int_equal(init(s, HANDLER_SOURCE), HANDLER_E_POLICY);
	assert_int_equal(init(s, HANDLER_TARGET), HANDLER_OK);
	side_secret_put(s, (struct side_owner){ HANDLER_F_ALL, 1, 1, HANDLER_VERSION + 1 });
	assert_int_equal(init(s, HANDLER_SOURCE), HANDLER_E_VERSION);
	side_secret_put(s, (struct side_owner){ HANDLER_F_ALL + 1, 1, 1, 1 });
	assert_int_equal(init(s, HANDLER_SOURCE), HANDLER_E_NO_KEY);
	assert_int_equal(init(s, 3), HANDLER_E_NO_KEY);
	side_secret_put(s, SIDE_ANY);
	assert_int_equal(init(s, 3), HANDLER_E_COMMAND);
	side_free(s);
}

static void finds_its_entry_behind_others(void **state)
{
	struct side *s = side_new(SIDE_ANY);
	struct handler_owner o;
	uint8_t entry[20 + HANDLER_S_LEN];

	(void)state;
	memcpy(entry, s->secret + 20, sizeof(entry));
	memset(s->secret + 20, 0xab, 16);
	own_put32(s->secret + 36, 20 + 5);
	memcpy(s->secret + 45, entry, sizeof(entry));
	own_put32(s->secret + 16, 45 + sizeof(entry));
	assert_int_equal(handler_secret_get(s->secret, sizeof(s->secret), &o), HANDLER_OK);
	assert_int_equal(o.key[31], 1);
	/* Cut anywhere it is no key. */
	for (size_t n = 0; n < 45 + sizeof(entry); n++) {
		own_put32(s->secret + 16, (uint32_t)n);
		assert_int_equal(handler_secret_get(s->secret, sizeof(s->secret), &o),
				 HANDLER_E_NO_KEY);
	}
	own_put32(s->secret + 16, 45 + sizeof(entry));
	for (size_t n = 0; n < 45 + sizeof(entry); n++)
		assert_int_equal(handler_secret_get(s->secret, n, &o), HANDLER_E_NO_KEY);
	side_free(s);
}

static void a_length_in_the_secret_leads_nowhere_else(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 19, 0x7fffffff, UINT32_MAX };
	struct side *s = side_new(SIDE_ANY);
	struct handler_owner o;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		side_secret_put(s, SIDE_ANY);
		own_put32(s->secret + 36, lengths[i]);
		assert_int_equal(handler_secret_get(s->secret, sizeof(s->secret), &o),
				 HANDLER_E_NO_KEY);
		side_secret_put(s, SIDE_ANY);
		own_put32(s->secret + 16, lengths[i]);
		assert_int_equal(handler_secret_get(s->secret, sizeof(s->secret), &o),
				 HANDLER_E_NO_KEY);
	}
	side_free(s);
}

static void takes_only_a_mailbox_it_knows(void **state)
{
	static const struct {
		unsigned at;
		uint32_t v, status;
	} cases[] = {
		{ HANDLER_M_MAGIC, 0, HANDLER_E_MAILBOX },
		{ HANDLER_M_VERSION, 2 | HANDLER_DESC_LEN << 16, HANDLER_E_MAILBOX },
		{ HANDLER_M_VERSION, 1 | 48 << 16, HANDLER_E_MAILBOX },
		{ HANDLER_M_COUNT, HANDLER_BATCH + 1, HANDLER_E_MAILBOX },
		{ HANDLER_M_COUNT, UINT32_MAX, HANDLER_E_MAILBOX },
		{ HANDLER_M_COMMAND, 0, HANDLER_E_COMMAND },
		{ HANDLER_M_COMMAND, HANDLER_COMMANDS, HANDLER_E_COMMAND },
		{ HANDLER_M_COMMAND, UINT32_MAX, HANDLER_E_COMMAND },
		{ HANDLER_M_COMMAND, HANDLER_STATUS, HANDLER_OK },
	};
	struct side *s = side_new(SIDE_ANY);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		side_mail(s, 0, HANDLER_STATUS, 0, NULL, 0);
		own_put32(s->mailbox[0] + cases[i].at, cases[i].v);
		handler_answer(&s->h, &s->w[0], s->mailbox[0]);
		assert_int_equal(own_get32(s->mailbox[0] + HANDLER_M_STATUS), cases[i].status);
	}
	side_free(s);
}

/* Commands by state: those that are due, found by trying. */
static void every_command_has_its_state(void **state)
{
	static const struct {
		enum handler_state state;
		unsigned due; /* beside STATUS */
	} cases[] = {
		{ HANDLER_IDLE, 1u << HANDLER_INIT | 1u << HANDLER_RESET },
		{ HANDLER_OPEN, 1u << HANDLER_INIT | 1u << HANDLER_START | 1u << HANDLER_RESET },
		{ HANDLER_SENDING,
		  1u << HANDLER_EXPORT | 1u << HANDLER_MANIFEST | 1u << HANDLER_RESET },
		{ HANDLER_TAKING,
		  1u << HANDLER_IMPORT | 1u << HANDLER_VERIFY | 1u << HANDLER_RESET },
		{ HANDLER_FROZEN, 1u << HANDLER_SEAL | 1u << HANDLER_RESET },
		{ HANDLER_VERIFIED, 1u << HANDLER_RELEASE | 1u << HANDLER_RESET },
		{ HANDLER_SEALED, 0 },
		{ HANDLER_RELEASED, 1u << HANDLER_INIT | 1u << HANDLER_RESET },
		{ HANDLER_FAILED, 1u << HANDLER_RESET },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint32_t c = HANDLER_INIT; c < HANDLER_COMMANDS; c++) {
			struct side *s = side_new(SIDE_ANY);
			uint32_t role = HANDLER_SOURCE, status;

			s->h.state = cases[i].state;
			s->h.role = HANDLER_SOURCE;
			status = side_call(s, c, &role, sizeof(role));
			assert_int_equal(cases[i].due >> c & 1,
					 status != HANDLER_E_STATE && status != HANDLER_E_SEALED);
			side_free(s);
		}
}

static void zero_pages_show_only_where_the_owner_says_so(void **state)
{
	struct side_owner o = SIDE_ANY;

	(void)state;
	for (unsigned visible = 0; visible < 2; visible++) {
		struct side *src, *dst;
		struct parcel p;

		o.flags = SIDE_ANY.flags | (visible ? HANDLER_F_ZERO_VISIBLE : 0);
		src = side_new(o);
		dst = side_new(o);
		sides_start(src, dst);
		side_fill(dst, SIDE_HIGH, 9);
		assert_int_equal(side_export(src, SIDE_HIGH, &p), HANDLER_OK);
		assert_int_equal(own_get32(p.desc + HANDLER_D_LEN), visible ? 0 : HANDLER_PAGE);
		assert_int_equal(side_import(dst, &p), HANDLER_OK);
		assert_memory_equal(src->ram + SIDE_HIGH, dst->ram + SIDE_HIGH, HANDLER_PAGE);
		/* One byte, at the end, makes it a page as any. */
		src->ram[SIDE_HIGH + HANDLER_PAGE - 1] = 1;
		assert_int_equal(side_export(src, SIDE_HIGH, &p), HANDLER_OK);
		assert_int_equal(own_get32(p.desc + HANDLER_D_LEN), HANDLER_PAGE);
		side_free(src);
		side_free(dst);
	}
}

static void moves_a_whole_batch(void **state)
{
	struct side *src = side_new(SIDE_ANY), *dst = side_new(SIDE_ANY);

	(void)state;
	sides_start(src, dst);
	for (uint32_t i = 0; i < HANDLER_BATCH; i++) {
		side_fill(src, SIDE_LOW + i * HANDLER_PAGE, (uint8_t)i);
		side_ask(src, i, SIDE_LOW + i * HANDLER_PAGE);
	}
	assert_int_equal(side_pages(src, HANDLER_EXPORT, HANDLER_BATCH), HANDLER_OK);
	assert_int_equal(own_get32(src->mailbox[0] + HANDLER_M_DONE), HANDLER_BATCH);
	memcpy(dst->mailbox[0], src->mailbox[0], HANDLER_MAILBOX_LEN);
	memcpy(dst->window, src->window, HANDLER_BATCH * HANDLER_PAGE);
	assert_int_equal(side_pages(dst, HANDLER_IMPORT, HANDLER_BATCH), HANDLER_OK);
	assert_memory_equal(src->ram + SIDE_LOW, dst->ram + SIDE_LOW, HANDLER_BATCH * HANDLER_PAGE);
	side_free(src);
	side_free(dst);
}

static void names_the_descriptor_it_refuses(void **state)
{
	struct side *s = side_new(SIDE_ANY), *other = side_new(SIDE_ANY);

	(void)state;
	sides_start(s, other);
	side_ask(s, 0, SIDE_LOW);
	side_ask(s, 1, SIDE_LOW + HANDLER_PAGE);
	side_ask(s, 2, HANDLER_BASE);
	assert_int_equal(side_pages(s, HANDLER_EXPORT, 3), HANDLER_E_OWN);
	assert_int_equal(own_get32(s->mailbox[0] + HANDLER_M_DONE), 2);
	assert_int_equal(s->h.epoch, 0);
	side_free(s);
	side_free(other);
}

static void epochs_do_not_wrap(void **state)
{
	struct side *s = side_new(SIDE_ANY), *other = side_new(SIDE_ANY);
	struct parcel p;

	(void)state;
	sides_start(s, other);
	s->h.epoch = 0x7ffffffd;
	assert_int_equal(side_export(s, SIDE_LOW, &p), HANDLER_OK);
	assert_int_equal(side_export(s, SIDE_LOW, &p), HANDLER_E_FULL);
	side_free(s);
	side_free(other);
}

static void both_ciphers_are_openssls(void **state)
{
	static const uint8_t nonce[12] = { GCM_PAGE, 0, 0, 0, 7 };
	uint8_t key[32], aad[32], in[HANDLER_PAGE], out[2][HANDLER_PAGE], tag[2][16];
	struct crypto_gcm *g = NULL;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7), key[i % 32] = (uint8_t)i, aad[i % 32] = (uint8_t)(3 * i);
	assert_int_equal(crypto_gcm_new(key, &g, &e), 0);
	assert_int_equal(
		crypto_gcm_seal(g, nonce, aad, sizeof(aad), in, sizeof(in), out[0], tag[0], &e), 0);
	for (enum handler_cipher c = HANDLER_CIPHER_SSE; c <= HANDLER_CIPHER_VAES; c++) {
		struct gcm_span a = { aad, sizeof(aad) };
		struct gcm_key_data k;
		uint8_t back[HANDLER_PAGE];

		if (c == HANDLER_CIPHER_VAES && !side_has_vaes())
			continue;
		gcm_key_init(c, &k, key);
		gcm_seal(c, &k, GCM_PAGE, 7, a, (struct gcm_span){ in, sizeof(in) }, out[1],
			 tag[1]);
		assert_memory_equal(out[0], out[1], sizeof(in));
		assert_memory_equal(tag[0], tag[1], sizeof(tag[0]));
		gcm_open(c, &k, GCM_PAGE, 7, a, (struct gcm_span){ out[1], sizeof(in) }, back,
			 tag[1]);
		assert_memory_equal(in, back, sizeof(in));
		assert_memory_equal(tag[0], tag[1], sizeof(tag[0]));
	}
	crypto_gcm_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_nothing_without_the_owners_key),
		cmocka_unit_test(does_what_the_owner_allows),
		cmocka_unit_test(finds_its_entry_behind_others),
		cmocka_unit_test(a_length_in_the_secret_leads_nowhere_else),
		cmocka_unit_test(takes_only_a_mailbox_it_knows),
		cmocka_unit_test(every_command_has_its_state),
		cmocka_unit_test(zero_pages_show_only_where_the_owner_says_so),
		cmocka_unit_test(moves_a_whole_batch),
		cmocka_unit_test(names_the_descriptor_it_refuses),
		cmocka_unit_test(epochs_do_not_wrap),
		cmocka_unit_test(both_ciphers_are_openssls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
