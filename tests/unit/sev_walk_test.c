/* SPDX-License-Identifier: Apache-2.0 */

/* Every /dev/sev command in every state of the platform, under both kinds of owner, for readers and
 * for writers; and every parameter struct in every place it must not be. */

#include <sys/wait.h>
#include <unistd.h>

#include "crypto/key.h"
#include "crypto/sevcert.h"
#include "tests/unit/sev_client.h"

#define COMMANDS 14 /* and some that nobody has */
#define STATES 3    /* UNINIT, INIT, WORKING */

static uint8_t owner_cert[SEVCERT_LEN], signed_pek[SEVCERT_LEN];
static struct ec_key *owner_key;
static struct client guest, initer;

static int walk_setup(void **state)
{
	const struct sevcert_head head = { .usage = SEVCERT_OCA, .algo = SEVCERT_ECDSA_SHA256 };
	struct err e = { 0 };

	if (client_setup(state) < 0)
		return -1;
	return ec_key_generate(&owner_key, &e) < 0 ||
	       sevcert_make(&head, owner_key, owner_cert, &e) < 0 ||
	       sevcert_sign(owner_cert, 0, SEVCERT_OCA, owner_key, &e) < 0;
}

static int walk_teardown(void **state)
{
	ec_key_free(owner_key);
	return client_teardown(state);
}

/* Memory as /dev/sev's own process sees that of a client in another: this very one, from outside.
 */
static bool from_outside;

static int be_outside(void **state)
{
	(void)state;
	from_outside = true;
	return 0;
}

static int be_inside(void **state)
{
	(void)state;
	from_outside = false;
	return 0;
}

static int issue(uint32_t id, const void *params, bool writable, uint32_t *error)
{
	struct sev_issue_cmd cmd = { .cmd = id, .data = (uintptr_t)params, .error = UNTOUCHED };
	int r = from_outside
			? sev_soft_dev_ioctl_of(platform, gettid(), SEV_ISSUE_CMD, (uintptr_t)&cmd,
						writable)
			: sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD, (uintptr_t)&cmd, writable);

	*error = cmd.error;
	return r;
}

static void must_issue(uint32_t id, const void *params)
{
	uint32_t error;
	int r = issue(id, params, true, &error);

	if (r < 0)
		fail_msg("command %u: %d, status %#x", id, r, error);
}

/* --- states and owners --------------------------------------------------------------------------
 */

static void csr_sign(void)
{
	struct sev_user_data_pek_csr csr = { (uintptr_t)signed_pek, sizeof(signed_pek) };
	struct err e = { 0 };

	must_issue(SEV_PEK_CSR, &csr);
	assert_int_equal(sevcert_sign(signed_pek, 0, SEVCERT_OCA, owner_key, &e), 0);
}

static const struct sev_user_data_pek_cert_import import = {
	.pek_cert_address = (uintptr_t)signed_pek,
	.pek_cert_len = SEVCERT_LEN,
	.oca_cert_address = (uintptr_t)owner_cert,
	.oca_cert_len = SEVCERT_LEN,
};

/* What KVM does first for a VM. */
static void init(void)
{
	client_open(&initer, 0, false, false);
	expect(&initer, KVM_SEV_INIT, NULL, 0, 0);
	sev_vm_free(initer.vm);
}

static void platform_make(unsigned state, bool owned)
{
	must_issue(SEV_FACTORY_RESET, NULL);
	csr_sign();
	if (owned)
		must_issue(SEV_PEK_CERT_IMPORT, &import); /* UNINIT before, UNINIT after */
	if (state == 1)
		init();
	if (state == 2) {
		client_open(&guest, 0, false, false);
		launch(&guest, 0);
	}
}

static void platform_unmake(unsigned state)
{
	if (state == 2)
		sev_vm_free(guest.vm);
}

static struct sev_user_data_status status(void)
{
	struct sev_user_data_status st = { 0 };

	must_issue(SEV_PLATFORM_STATUS, &st);
	return st;
}

/* --- the table -----------------------------------------------------------------------------------
 */

/* For UNINIT, INIT, WORKING; o: done, b: EBUSY, p: EPERM, x: EINVAL, a digit: EIO and that status.
 */
struct row {
	const char *self, *external; /* writers */
	const char *reader;
	int owner; /* afterwards, if done: 0 self, 1 external, -1 unchanged */
	unsigned state[STATES];
};

#define SAME                                                                                       \
	{                                                                                          \
		0, 1, 2                                                                            \
	}

static const struct row table[COMMANDS] = {
	[SEV_FACTORY_RESET] = { "oob", "oob", "ppp", 0, { 0, 0, 2 } },
	[SEV_PLATFORM_STATUS] = { "ooo", "ooo", "ooo", -1, SAME },
	[SEV_PEK_GEN] = { "oo1", "oo1", "ppp", 0, SAME },
	[SEV_PEK_CSR] = { "ooo", "ooo", "ppp", -1, SAME },
	[SEV_PDH_GEN] = { "ooo", "ooo", "ppp", -1, SAME },
	[SEV_PDH_CERT_EXPORT] = { "ooo", "ooo", "poo", -1, SAME },
	[SEV_PEK_CERT_IMPORT] = { "oo1", "551", "ppp", 1, SAME },
	[SEV_GET_ID] = { "ooo", "ooo", "ooo", -1, SAME },
	[SEV_GET_ID2] = { "ooo", "ooo", "ooo", -1, SAME },
	[9] = { "xxx", "xxx", "xxx", -1, SAME },  /* SNP_PLATFORM_STATUS */
	[10] = { "xxx", "xxx", "xxx", -1, SAME }, /* SNP_COMMIT */
	[11] = { "xxx", "xxx", "xxx", -1, SAME }, /* SNP_SET_CONFIG */
	[12] = { "xxx", "xxx", "xxx", -1, SAME }, /* SNP_VLEK_LOAD */
	[13] = { "xxx", "xxx", "xxx", -1, SAME },
};

/* Good parameters for a command. */
static uint8_t blob_a[0x4000], blob_b[0x4000];

static size_t params_make(uint32_t id, uint8_t out[128])
{
	const struct sev_user_data_pek_csr csr = { (uintptr_t)blob_a, SEV_CERT_LEN };
	const struct sev_user_data_get_id2 id2 = { (uintptr_t)blob_a, 64 };
	const struct sev_user_data_pdh_cert_export pdh = { (uintptr_t)blob_a, SEV_CERT_LEN,
							   (uintptr_t)blob_b, SEV_PLAT_CHAIN_LEN };

	memset(out, 0, 128);
	switch (id) {
	case SEV_PLATFORM_STATUS:
		return sizeof(struct sev_user_data_status);
	case SEV_PEK_CSR:
		memcpy(out, &csr, sizeof(csr));
		return sizeof(csr);
	case SEV_PDH_CERT_EXPORT:
		memcpy(out, &pdh, sizeof(pdh));
		return sizeof(pdh);
	case SEV_PEK_CERT_IMPORT:
		memcpy(out, &import, sizeof(import));
		return sizeof(import);
	case SEV_GET_ID:
		return 64;
	case SEV_GET_ID2:
		memcpy(out, &id2, sizeof(id2));
		return sizeof(id2);
	default:
		return 0;
	}
}

/* *error: what it is to be, where that is told. */
static int meaning(char c, uint32_t *error)
{
	*error = c == 'o' || c == 'b' ? 0 : UNTOUCHED;
	switch (c) {
	case 'o':
		return 0;
	case 'b':
		return -EBUSY;
	case 'p':
		return -EPERM;
	case 'x':
		return -EINVAL;
	default:
		*error = (uint32_t)(c - '0');
		return -EIO;
	}
}

static void cell(uint32_t id, unsigned state, bool owned, bool writable)
{
	const struct row *row = &table[id];
	const char *cells = !writable ? row->reader : owned ? row->external : row->self;
	uint8_t params[128];
	uint32_t want_error, error;
	int want = meaning(cells[state], &want_error), r;

	platform_make(state, owned);
	params_make(id, params);
	r = issue(id, params, writable, &error);
	if (r != want || error != want_error)
		fail_msg("command %u, state %u, %s, %s: %d, status %#x; expected %d, %#x", id,
			 state, owned ? "owned" : "self-owned", writable ? "writer" : "reader", r,
			 error, want, want_error);
	assert_int_equal(status().state, r == 0 ? row->state[state] : state);
	init();
	assert_int_equal(status().flags & 1, r == 0 && row->owner >= 0 ? row->owner : owned);
	platform_unmake(state);
}

static void every_command_in_every_state_under_every_owner(void **unused)
{
	(void)unused;
	for (uint32_t id = 0; id < COMMANDS; id++) {
		for (unsigned state = 0; state < STATES; state++) {
			cell(id, state, false, true);
			cell(id, state, true, true);
			cell(id, state, false, false);
		}
	}
}

/* --- parameters ----------------------------------------------------------------------------------
 */

/* A page that ends where nothing is. */
static uint8_t *page_before_nothing(void)
{
	uint8_t *p = mmap(NULL, 2 * PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(munmap(p + PAGE_LEN, PAGE_LEN), 0);
	return p;
}

static void expect_issue(uint32_t id, const void *params, int r, uint32_t error)
{
	uint32_t got_error;
	int got = issue(id, params, true, &got_error);

	if (got != r || got_error != error)
		fail_msg("command %u: %d, status %#x; expected %d, %#x", id, got, got_error, r,
			 error);
}

static void structs_that_are_not_all_there_are_efault(void **state)
{
	uint8_t *page = page_before_nothing();

	(void)state;
	for (uint32_t id = 0; id < 9; id++) {
		/* Firmware fills these two first; the rest are read before anything is done. */
		bool out = id == SEV_PLATFORM_STATUS || id == SEV_GET_ID;
		uint8_t params[128];
		size_t len = params_make(id, params);

		platform_make(1, false);
		expect_issue(id, NULL, len ? -EFAULT : 0, len && !out ? UNTOUCHED : 0);
		expect_issue(id, (void *)(uintptr_t)UNMAPPED, len ? -EFAULT : 0,
			     len && !out ? UNTOUCHED : 0);
		expect_issue(id, (void *)(UINTPTR_MAX - 3), len ? -EFAULT : 0,
			     len && !out ? UNTOUCHED : 0);
		if (!len)
			continue;
		memcpy(page + PAGE_LEN - len + 1, params, len - 1);
		expect_issue(id, page + PAGE_LEN - len + 1, -EFAULT, out ? 0 : UNTOUCHED);
		platform_make(1, false); /* new keys: a new CSR */
		params_make(id, params);
		memcpy(page + PAGE_LEN - len - 3, params, len);
		expect_issue(id, page + PAGE_LEN - len - 3, 0, 0); /* odd is fine */
	}
	munmap(page, PAGE_LEN);
}

static void a_struct_that_cannot_be_written_back_is_efault(void **state)
{
	uint8_t *page =
		mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	platform_make(1, false);
	for (uint32_t id = 0; id < 9; id++) {
		size_t len;

		assert_int_equal(mprotect(page, PAGE_LEN, PROT_READ | PROT_WRITE), 0);
		len = params_make(id, page);
		assert_int_equal(mprotect(page, PAGE_LEN, PROT_READ), 0);
		if (len && id != SEV_PEK_CERT_IMPORT)
			expect_issue(id, page, -EFAULT, 0);
	}
	munmap(page, PAGE_LEN);
}

static void huge_lengths_are_refused_by_who_allocates(void **state)
{
	const struct sev_user_data_pek_csr csr = { (uintptr_t)blob_a, UINT32_MAX };
	const struct sev_user_data_get_id2 id2 = { (uintptr_t)blob_a, UINT32_MAX };
	const struct sev_user_data_pdh_cert_export pdh = { (uintptr_t)blob_a, UINT32_MAX,
							   (uintptr_t)blob_b, UINT32_MAX };
	struct sev_user_data_pek_cert_import in = import;

	(void)state;
	platform_make(1, false);
	expect_issue(SEV_PEK_CSR, &csr, -EFAULT, UNTOUCHED);
	expect_issue(SEV_GET_ID2, &id2, -ENOMEM, UNTOUCHED);
	expect_issue(SEV_PDH_CERT_EXPORT, &pdh, -EFAULT, UNTOUCHED);
	in.oca_cert_len = UINT32_MAX;
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EINVAL, UNTOUCHED);
}

static void buffers_that_are_not_there_are_efault_after_the_command(void **state)
{
	struct sev_user_data_pek_csr csr = { UNMAPPED, SEV_CERT_LEN };
	struct sev_user_data_get_id2 id2 = { UNMAPPED, 64 };
	struct sev_user_data_pdh_cert_export pdh = { UNMAPPED, SEV_CERT_LEN, UNMAPPED,
						     SEV_PLAT_CHAIN_LEN };
	struct sev_user_data_pek_cert_import in = import;

	(void)state;
	platform_make(1, false);
	expect_issue(SEV_PEK_CSR, &csr, -EFAULT, 0);
	expect_issue(SEV_GET_ID2, &id2, -EFAULT, 0);
	expect_issue(SEV_PDH_CERT_EXPORT, &pdh, -EFAULT, 0);
	in.pek_cert_address = UNMAPPED;
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EFAULT, UNTOUCHED);
}

/* --- clients in other processes ------------------------------------------------------------------
 */

struct asked {
	struct sev_issue_cmd cmd;
	struct sev_user_data_status status;
};

/* Asks with memory that only it has, and looks into it when it is told to. */
static void client_run(struct asked *at, int ready, int answered)
{
	char c = 0;

	at = mmap(at, sizeof(*at), PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at == MAP_FAILED)
		_exit(2);
	at->cmd = (struct sev_issue_cmd){ SEV_PLATFORM_STATUS, (uintptr_t)&at->status, UNTOUCHED };
	if (write(ready, &c, 1) != 1 || read(answered, &c, 1) != 1)
		_exit(3);
	_exit(at->cmd.error == 0 && at->status.api_major == 1 ? 0 : 1);
}

static void another_process_is_answered_in_its_own_memory(void **state)
{
	struct asked *at = (struct asked *)page_before_nothing();
	int ready[2], answered[2], code = -1;
	char c;
	pid_t pid;

	(void)state;
	munmap(at, PAGE_LEN); /* an address where this process has nothing */
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(answered), 0);
	pid = fork();
	if (pid == 0)
		client_run(at, ready[1], answered[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(sev_soft_dev_ioctl(platform, SEV_ISSUE_CMD, (uintptr_t)at, true), -EFAULT);
	assert_int_equal(sev_soft_dev_ioctl_of(platform, pid, SEV_ISSUE_CMD, (uintptr_t)at, true),
			 0);
	assert_int_equal(write(answered[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &code, 0), pid);
	assert_int_equal(code, 0);
	/* Nobody is there any more. */
	assert_int_equal(sev_soft_dev_ioctl_of(platform, pid, SEV_ISSUE_CMD, (uintptr_t)at, true),
			 -EFAULT);
}

/* 0 is who the kernel cannot name: it must not become this process. */
static void nobody_is_refused(void **state)
{
	struct sev_user_data_status st = { 0 };
	struct sev_issue_cmd cmd = { SEV_PLATFORM_STATUS, (uintptr_t)&st, UNTOUCHED };

	(void)state;
	assert_int_equal(sev_soft_dev_ioctl_of(platform, 0, SEV_ISSUE_CMD, (uintptr_t)&cmd, true),
			 -ESRCH);
	assert_int_equal(sev_soft_dev_ioctl_of(platform, -1, SEV_ISSUE_CMD, (uintptr_t)&cmd, true),
			 -ESRCH);
	assert_int_equal(cmd.error, UNTOUCHED);
	assert_int_equal(st.api_major, 0);
}

/* --- certificates --------------------------------------------------------------------------------
 */

static void an_import_says_what_is_wrong_with_it(void **state)
{
	struct sev_user_data_pek_cert_import in = import;
	uint8_t other[SEVCERT_LEN];
	struct err e = { 0 };

	(void)state;
	platform_make(1, false);
	in.pek_cert_len--;
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EIO, 4);
	in = import;
	signed_pek[0] ^= 2; /* version */
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EIO, 6);
	signed_pek[0] ^= 2;
	signed_pek[0x20] ^= 1; /* another key */
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EIO, 6);
	signed_pek[0x20] ^= 1;
	signed_pek[0x41c] ^= 1; /* the owner's signature */
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EIO, 0xa);
	signed_pek[0x41c] ^= 1;
	memcpy(other, owner_cert, sizeof(other));
	other[0x41c] ^= 1; /* the owner's own */
	in.oca_cert_address = (uintptr_t)other;
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EIO, 0xa);
	in.oca_cert_address = (uintptr_t)signed_pek; /* not an OCA at all */
	expect_issue(SEV_PEK_CERT_IMPORT, &in, -EIO, 6);
	must_issue(SEV_PEK_GEN, NULL); /* the request is stale now */
	expect_issue(SEV_PEK_CERT_IMPORT, &import, -EIO, 6);
	csr_sign();
	must_issue(SEV_PEK_CERT_IMPORT, &import);
	expect_issue(SEV_PEK_CERT_IMPORT, &import, -EIO, 5);
	assert_int_equal(e.code, 0);
}

/* Both sizes of AMD's certificates: these tests' platforms have the small ones. */
static void a_root_of_4096_bits_has_certificates_of_1600_bytes(void **state)
{
	struct sev_soft_init opt = { .root_bits = 4096 };
	struct sev_peer_certs small, big;
	struct sev_platform *p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_soft_init(fixture_path(dir, "big"), &opt, &e), 0);
	p = fixture_open(fixture_path(dir, "big"));
	assert_int_equal(sev_certs_export(p, &big, &e), 0);
	assert_int_equal(sev_certs_export(platform, &small, &e), 0);
	assert_int_equal(big.amd_len, 2 * 1600);
	assert_int_equal(small.amd_len, 2 * 832);
	sev_platform_free(p);
}

static void get_id_came_with_api_0_16(void **state)
{
	struct sev_soft_init opt = { .root_bits = 2048, .api_minor = 15, .build = 1 };
	struct sev_user_data_get_id2 id2 = { 0 };
	struct sev_issue_cmd cmd = { .cmd = SEV_GET_ID2, .data = (uintptr_t)&id2 };
	struct sev_platform *p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sev_soft_init(fixture_path(dir, "old"), &opt, &e), 0);
	p = fixture_open(fixture_path(dir, "old"));
	assert_int_equal(sev_platform_issue(p, &cmd), -524);
	cmd.cmd = SEV_GET_ID;
	assert_int_equal(sev_platform_issue(p, &cmd), -524);
	sev_platform_free(p);
}

#define both_ways(test)                                                                            \
	cmocka_unit_test(test),                                                                    \
	{                                                                                          \
#test "_from_outside", test, be_outside, be_inside, NULL                           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_in_every_state_under_every_owner),
		both_ways(structs_that_are_not_all_there_are_efault),
		both_ways(a_struct_that_cannot_be_written_back_is_efault),
		both_ways(huge_lengths_are_refused_by_who_allocates),
		both_ways(buffers_that_are_not_there_are_efault_after_the_command),
		both_ways(an_import_says_what_is_wrong_with_it),
		cmocka_unit_test(another_process_is_answered_in_its_own_memory),
		cmocka_unit_test(nobody_is_refused),
		cmocka_unit_test(a_root_of_4096_bits_has_certificates_of_1600_bytes),
		cmocka_unit_test(get_id_came_with_api_0_16),
	};

	return cmocka_run_group_tests_name("sev_walk", tests, walk_setup, walk_teardown);
}
