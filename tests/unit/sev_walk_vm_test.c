/* SPDX-License-Identifier: Apache-2.0 */

/* Every KVM_SEV_* command in every state of a guest, and every parameter struct in every place it
 * must not be, in every state again. */

#include "tests/unit/sev_client.h"

#define IDS 104
#define STATES 8

enum state { NO_SEV, NO_GUEST, LUPDATE, LSECRET, RUNNING, SUPDATE, RUPDATE, SENT };

/* ram: what is sent and measured, then buffers; its end is the end of all. */
#define GUEST 0x0u
#define HDR 0x10000u
#define PACKET 0x11000u
#define OUT 0x12000u
#define EDGE (RAM_LEN - PAGE_LEN)

static struct sev_peer_certs certs;
static uint8_t session[SEV_SESSION_LEN]; /* to this platform, from itself */
static struct client source;

static int walk_setup(void **state)
{
	struct err e = { 0 };

	if (client_setup(state) < 0)
		return -1;
	munmap(ram + RAM_LEN - PAGE_LEN, PAGE_LEN);
	return sev_certs_export(platform, &certs, &e);
}

static int walk_teardown(void **state)
{
	return client_teardown(state);
}

/* --- good parameters
 * ------------------------------------------------------------------------------ */

#define AT(off) ((uintptr_t)ram + (off))

static const struct kvm_sev_launch_start launch_params;
static struct kvm_sev_send_start send_params;
static struct kvm_sev_receive_start receive_params;

static void starts_make(void)
{
	send_params = (struct kvm_sev_send_start){
		.pdh_cert_uaddr = (uintptr_t)certs.pdh,
		.pdh_cert_len = sizeof(certs.pdh),
		.plat_certs_uaddr = (uintptr_t)certs.plat,
		.plat_certs_len = sizeof(certs.plat),
		.amd_certs_uaddr = (uintptr_t)certs.amd,
		.amd_certs_len = certs.amd_len,
		.session_uaddr = AT(OUT),
		.session_len = SEV_SESSION_LEN,
	};
	receive_params = (struct kvm_sev_receive_start){
		.pdh_uaddr = (uintptr_t)certs.pdh,
		.pdh_len = sizeof(certs.pdh),
		.session_uaddr = (uintptr_t)session,
		.session_len = sizeof(session),
	};
}

static size_t put(uint8_t *out, const void *p, size_t len)
{
	memcpy(out, p, len);
	return len;
}

/* The struct's length; 0: the command takes none. */
static size_t params_make(uint32_t id, uint8_t out[128])
{
	const struct kvm_sev_launch_update_data update = { AT(GUEST), PAGE_LEN };
	const struct kvm_sev_launch_measure measure = { AT(OUT), SEV_MEASURE_LEN };
	const struct kvm_sev_attestation_report report = { .uaddr = AT(OUT), .len = 208 };
	const struct kvm_sev_send_update_data packet = { AT(HDR),  SEV_PACKET_HDR_LEN, AT(GUEST),
							 PAGE_LEN, AT(PACKET),         PAGE_LEN };
	const struct kvm_sev_dbg dbg = { AT(GUEST), AT(OUT), 64 };

	starts_make();
	memset(out, 0, 128);
	switch (id) {
	case KVM_SEV_LAUNCH_START:
		return put(out, &launch_params, sizeof(launch_params));
	case KVM_SEV_LAUNCH_UPDATE_DATA:
		return put(out, &update, sizeof(update));
	case KVM_SEV_LAUNCH_MEASURE:
		return put(out, &measure, sizeof(measure));
	case KVM_SEV_SEND_START:
		return put(out, &send_params, sizeof(send_params));
	case KVM_SEV_LAUNCH_SECRET: /* three structs of one shape */
	case KVM_SEV_SEND_UPDATE_DATA:
	case KVM_SEV_RECEIVE_UPDATE_DATA:
		return put(out, &packet, sizeof(packet));
	case KVM_SEV_RECEIVE_START:
		return put(out, &receive_params, sizeof(receive_params));
	case KVM_SEV_GUEST_STATUS:
		return sizeof(struct kvm_sev_guest_status);
	case KVM_SEV_DBG_DECRYPT:
	case KVM_SEV_DBG_ENCRYPT:
		return put(out, &dbg, sizeof(dbg));
	case KVM_SEV_GET_ATTESTATION_REPORT:
		return put(out, &report, sizeof(report));
	default:
		return 0;
	}
}

static void good(struct client *c, uint32_t id)
{
	uint8_t params[128];

	params_make(id, params);
	expect(c, id, params, 0, 0);
}

/* --- states
 * ---------------------------------------------------------------------------------------- */

static void run(struct client *c, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		good(c, ids[i]);
}

static const uint32_t to_sent[] = { KVM_SEV_INIT,           KVM_SEV_LAUNCH_START,
				    KVM_SEV_LAUNCH_MEASURE, KVM_SEV_LAUNCH_FINISH,
				    KVM_SEV_SEND_START,     KVM_SEV_SEND_FINISH };

/* A session that RECEIVE_START takes, as often as it is offered. */
static bool session_made;

static void session_make(void)
{
	client_open(&source, 0, false, false);
	run(&source, to_sent, 5);
	memcpy(session, ram + OUT, sizeof(session));
	sev_vm_free(source.vm);
	session_made = true;
}

static void vm_in(struct client *c, enum state s)
{
	const size_t steps[STATES] = { 0, 1, 2, 3, 4, 5, 1, 6 };

	if (!session_made)
		session_make();
	client_open(c, 0, false, false);
	run(c, to_sent, steps[s]);
	if (s == RUPDATE)
		good(c, KVM_SEV_RECEIVE_START);
	memset(ram + HDR, 0, SEV_PACKET_HDR_LEN); /* a packet that nobody made */
}

/* --- the table
 * -------------------------------------------------------------------------------------- */

/* For each state; o: done, T: ENOTTY, E: EINVAL, M: ENOMEM, F: EBADF (no START yet
 * means no number of /dev/sev yet), B: EIO and status 0xb, C: 0xc, a digit: that status. huge: with
 * all lengths at their utmost. */
struct row {
	const char *plain, *huge;
	uint32_t next; /* state after success; 0: the same */
};

static const struct row table[IDS] = {
	[KVM_SEV_INIT] = { "oEEEEEEE", "oEEEEEEE", 0 },
	[KVM_SEV_ES_INIT] = { "oEEEEEEE", "oEEEEEEE", 0 },
	[KVM_SEV_LAUNCH_START] = { "ToCCCCCC", "ToCCCCCC", 1 },
	[KVM_SEV_LAUNCH_UPDATE_DATA] = { "TFo22222", "TMMMMMMM", 0 },
	[KVM_SEV_LAUNCH_UPDATE_VMSA] = { "TTTTTTTT", "TTTTTTTT", 0 },
	[KVM_SEV_LAUNCH_SECRET] = { "TF2B2222", "TMMMMMMM", 0 },
	[KVM_SEV_LAUNCH_MEASURE] = { "TFo22222", "TEEEEEEE", 2 },
	[KVM_SEV_LAUNCH_FINISH] = { "TF2o2222", "TF2o2222", 3 },
	[KVM_SEV_SEND_START] = { "TF22o222", "TEEEEEEE", 4 },
	[KVM_SEV_SEND_UPDATE_DATA] = { "TF222o22", "TEEEEEEE", 0 },
	[KVM_SEV_SEND_FINISH] = { "TF222o22", "TF222o22", 6 },
	[KVM_SEV_RECEIVE_START] = { "ToCCCCCC", "TEEEEEEE", 5 },
	[KVM_SEV_RECEIVE_UPDATE_DATA] = { "EF2222B2", "EEEEEEEE", 0 },
	[KVM_SEV_RECEIVE_FINISH] = { "TF2222o2", "TF2222o2", 3 },
	[KVM_SEV_GUEST_STATUS] = { "TFoooooo", "TFoooooo", 0 },
	[KVM_SEV_DBG_DECRYPT] = { "TFoooo22", "TFMMMM22", 0 },
	[KVM_SEV_DBG_ENCRYPT] = { "TFoooo22", "TFMMMM22", 0 },
	[KVM_SEV_GET_ATTESTATION_REPORT] = { "TF2ooo22", "TEEEEEEE", 0 },
	[KVM_SEV_SEND_CANCEL] = { "TF222o22", "TF222o22", 3 },
};

static const struct row *row_of(uint32_t id)
{
	/* SEND_UPDATE_VMSA, RECEIVE_UPDATE_VMSA, CERT_EXPORT, INIT2 of a VM of type 0, SNP's (100
	 * to 102), and what nobody knows. */
	static const struct row nobody = { "EEEEEEEE", "EEEEEEEE", 0 };

	return table[id].plain ? &table[id] : &nobody;
}

static int meaning(char c, uint32_t *error)
{
	static const struct {
		char c;
		int r;
		uint32_t error;
	} words[] = {
		{ 'o', 0, 0 },
		{ 'T', -ENOTTY, UNTOUCHED },
		{ 'E', -EINVAL, UNTOUCHED },
		{ 'M', -ENOMEM, UNTOUCHED },
		{ 'F', -EBADF, UNTOUCHED },
		{ 'B', -EIO, 0xb },
		{ 'C', -EIO, 0xc },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].c == c) {
			*error = words[i].error;
			return words[i].r;
		}
	}
	*error = (uint32_t)(c - '0');
	return -EIO;
}

static void cell(struct client *c, uint32_t id, enum state s, const void *params, char want)
{
	uint32_t want_error, error;
	int want_r = meaning(want, &want_error), r = op(c, id, params, &error);

	/* Of DBG's pages those before the end were copied. */
	if (want == 'M' && r == want_r && error == 0)
		error = want_error;
	if (r != want_r || error != want_error)
		fail_msg("id %u, state %d: %d, status %#x; expected %d, %#x", id, s, r, error,
			 want_r, want_error);
}

static uint32_t state_number(enum state s)
{
	static const uint32_t numbers[STATES] = { 0, 0, 1, 2, 3, 4, 5, 6 };

	return numbers[s];
}

static void every_command_in_every_state(void **unused)
{
	(void)unused;
	for (uint32_t id = 0; id < IDS; id++) {
		for (enum state s = NO_SEV; s <= SENT; s++) {
			const struct row *row = row_of(id);
			uint8_t params[128];
			struct client c;

			vm_in(&c, s);
			params_make(id, params);
			cell(&c, id, s, params, row->plain[s]);
			if (s >= LUPDATE)
				assert_int_equal(state_of(&c), row->plain[s] == 'o' && row->next
								       ? row->next
								       : state_number(s));
			sev_vm_free(c.vm);
		}
	}
}

/* --- parameters
 * -------------------------------------------------------------------------------------- */

/* All lengths are the 32 bits after an address. */
static void lengths_set(uint32_t id, uint8_t params[128])
{
	static const uint16_t at[IDS] = {
		[KVM_SEV_LAUNCH_UPDATE_DATA] = 8,   [KVM_SEV_LAUNCH_MEASURE] = 8,
		[KVM_SEV_LAUNCH_SECRET] = 24,       [KVM_SEV_SEND_START] = 64,
		[KVM_SEV_SEND_UPDATE_DATA] = 24,    [KVM_SEV_RECEIVE_START] = 16,
		[KVM_SEV_RECEIVE_UPDATE_DATA] = 24, [KVM_SEV_DBG_DECRYPT] = 16,
		[KVM_SEV_DBG_ENCRYPT] = 16,         [KVM_SEV_GET_ATTESTATION_REPORT] = 24,
	};
	const uint32_t utmost = UINT32_MAX;

	if (at[id])
		memcpy(params + at[id], &utmost, sizeof(utmost));
}

static void huge_lengths_in_every_state(void **unused)
{
	(void)unused;
	for (uint32_t id = 0; id <= SEV_KVM_INIT2; id++) {
		for (enum state s = NO_SEV; s <= SENT; s++) {
			uint8_t params[128];
			struct client c;

			vm_in(&c, s);
			params_make(id, params);
			lengths_set(id, params);
			cell(&c, id, s, params, row_of(id)->huge[s]);
			sev_vm_free(c.vm);
		}
	}
}

/* Where a struct is read, that comes right after the question whether the VM is SEV. */
static int efault_or(const struct client *c, uint32_t id, enum state s, size_t len, uint32_t *error)
{
	char plain = row_of(id)->plain[s];

	(void)c;
	if (!len || s == NO_SEV || plain == 'T' || plain == 'E')
		return meaning(plain, error);
	*error = UNTOUCHED;
	if (id == KVM_SEV_GUEST_STATUS) { /* the firmware is asked first */
		if (plain != 'o')
			return meaning(plain, error);
		*error = 0;
	}
	return -EFAULT;
}

static void bad_place(enum state s, uint32_t id, const void *params)
{
	uint8_t scratch[128];
	uint32_t want_error, error;
	struct client c;
	int want, r;

	vm_in(&c, s);
	want = efault_or(&c, id, s, params_make(id, scratch), &want_error);
	r = op(&c, id, params, &error);
	if (r != want || error != want_error)
		fail_msg("id %u, state %d, struct at %p: %d, status %#x; expected %d, %#x", id, s,
			 params, r, error, want, want_error);
	sev_vm_free(c.vm);
}

static void structs_that_are_not_all_there(void **unused)
{
	(void)unused;
	for (uint32_t id = 0; id <= SEV_KVM_INIT2; id++) {
		uint8_t scratch[128];
		size_t len = params_make(id, scratch);

		for (enum state s = NO_SEV; s <= SENT; s++) {
			bad_place(s, id, NULL);
			bad_place(s, id, (void *)(uintptr_t)UNMAPPED);
			bad_place(s, id, (void *)(UINTPTR_MAX - 7));
			if (len) /* all but the last byte */
				bad_place(s, id, ram + EDGE - len + 1);
		}
	}
}

static void structs_at_odd_addresses_are_fine(void **unused)
{
	(void)unused;
	for (uint32_t id = 0; id <= SEV_KVM_INIT2; id++) {
		for (enum state s = NO_SEV; s <= SENT; s++) {
			uint8_t params[128 + 3];
			struct client c;

			vm_in(&c, s);
			params_make(id, params + 3);
			cell(&c, id, s, params + 3, row_of(id)->plain[s]);
			sev_vm_free(c.vm);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_in_every_state),
		cmocka_unit_test(huge_lengths_in_every_state),
		cmocka_unit_test(structs_that_are_not_all_there),
		cmocka_unit_test(structs_at_odd_addresses_are_fine),
	};

	return cmocka_run_group_tests_name("sev_walk_vm", tests, walk_setup, walk_teardown);
}
