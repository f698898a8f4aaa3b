/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/handler_call.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/rdwr.h"

/* Another of its vCPUs holds the handler's lock for a moment. */
#define BUSY_TRIES 100u

static const struct {
	int code;
	const char *words;
} statuses[HANDLER_STATUSES] = {
	[HANDLER_OK] = { 0, "OK" },
	[HANDLER_E_MAILBOX] = { -EPROTO, "MAILBOX: it does not know this mailbox" },
	[HANDLER_E_COMMAND] = { -EPROTO, "COMMAND: it does not know this command" },
	[HANDLER_E_STATE] = { -EPERM, "STATE: not in its state" },
	[HANDLER_E_SEALED] = { -EPERM, "SEALED: the guest was given up here" },
	[HANDLER_E_NO_KEY] = { -EPERM, "NO_KEY: the guest has no key of its owner's" },
	[HANDLER_E_POLICY] = { -EPERM, "POLICY: the guest's owner does not allow it" },
	[HANDLER_E_VERSION] = { -EPERM, "VERSION: the guest's owner wants a newer handler" },
	[HANDLER_E_RANDOM] = { -EIO, "RANDOM: the processor gives no random numbers" },
	[HANDLER_E_ADDRESS] = { -EINVAL, "ADDRESS: no page of guest memory" },
	[HANDLER_E_OWN] = { -EINVAL, "OWN: a page of the handler's own" },
	[HANDLER_E_WINDOW] = { -EINVAL, "WINDOW: outside the window" },
	[HANDLER_E_LENGTH] = { -EINVAL, "LENGTH: neither a page nor a mark of zeros" },
	[HANDLER_E_TAG] = { -EBADMSG, "TAG: changed, or of another page, session or guest" },
	[HANDLER_E_STALE] = { -EBADMSG, "STALE: not newer than what is here" },
	[HANDLER_E_INCOMPLETE] = { -EBADMSG, "INCOMPLETE: pages are missing or not the newest" },
	[HANDLER_E_RECORD] = { -EBADMSG, "RECORD: a proof that the other handler did not make" },
	[HANDLER_E_BUSY] = { -EBUSY, "BUSY: another of its vCPUs is at work" },
	[HANDLER_E_FULL] = { -EOVERFLOW, "FULL: its epochs are used up" },
	[HANDLER_E_FAULT] = { -EIO, "FAULT" },
};

static const char *const commands[HANDLER_COMMANDS] = {
	[HANDLER_STATUS] = "STATUS", [HANDLER_INIT] = "INIT",     [HANDLER_START] = "START",
	[HANDLER_EXPORT] = "EXPORT", [HANDLER_IMPORT] = "IMPORT", [HANDLER_MANIFEST] = "MANIFEST",
	[HANDLER_VERIFY] = "VERIFY", [HANDLER_SEAL] = "SEAL",     [HANDLER_RELEASE] = "RELEASE",
	[HANDLER_RESET] = "RESET",
};

const char *mig_handler_words(uint32_t status)
{
	return status < HANDLER_STATUSES ? statuses[status].words : "a status nobody knows";
}

static uint8_t *mailbox_of(struct mig_mirror *m, unsigned vcpu)
{
	return m->mailbox + (size_t)vcpu * HANDLER_MAILBOX_LEN;
}

/* Read once: the guest may write there meanwhile. */
static uint32_t field(const uint8_t *m, unsigned at)
{
	return __atomic_load_n((const uint32_t *)(const void *)(m + at), __ATOMIC_ACQUIRE);
}

static int failed(const uint8_t *m, enum handler_command command, uint32_t status, struct err *e)
{
	int r = status < HANDLER_STATUSES ? statuses[status].code : -EPROTO;

	if (status != HANDLER_E_FAULT)
		return err_set(e, r, "the guest's migration handler: %s: %s", commands[command],
			       mig_handler_words(status));
	return err_set(e, r,
		       "the guest's migration handler: %s: exception %" PRIu32 " at %#" PRIx32
		       ", address %#" PRIx32,
		       commands[command], field(m, HANDLER_M_RESULT + HANDLER_R_FAULT),
		       field(m, HANDLER_M_RESULT + HANDLER_R_FAULT + 8),
		       field(m, HANDLER_M_RESULT + HANDLER_R_FAULT + 16));
}

static int enter(struct mig_mirror *m, unsigned vcpu, enum handler_command command, struct err *e)
{
	uint8_t *box = mailbox_of(m, vcpu);
	uint32_t status = HANDLER_E_BUSY;

	for (unsigned i = 0; i < BUSY_TRIES && status == HANDLER_E_BUSY; i++) {
		uint32_t serial = field(box, HANDLER_M_SERIAL);
		int r = m->ops->enter(m, vcpu, e);

		if (r < 0)
			return r;
		if (field(box, HANDLER_M_SERIAL) == serial)
			return err_set(e, -EPROTO, "the guest's migration handler: %s: no answer",
				       commands[command]);
		status = field(box, HANDLER_M_STATUS);
	}
	return status == HANDLER_OK ? 0 : failed(box, command, status, e);
}

static struct wr mail_begin(struct mig_mirror *m, unsigned vcpu, enum handler_command command,
			    uint32_t count)
{
	struct wr out = wr_of(mailbox_of(m, vcpu), HANDLER_MAILBOX_LEN);

	wr_le32(&out, HANDLER_MAGIC);
	wr_le16(&out, HANDLER_VERSION);
	wr_le16(&out, HANDLER_DESC_LEN);
	wr_le32(&out, command);
	wr_le32(&out, count);
	return out;
}

int mig_handler_call(struct mig_mirror *m, enum handler_command command, const void *arg,
		     size_t len, uint8_t result[HANDLER_RESULT_LEN], struct err *e)
{
	struct wr out = mail_begin(m, 0, command, 0);
	int r;

	wr_bytes(&out, arg, len);
	wr_zero(&out, HANDLER_ARG_LEN - len);
	r = enter(m, 0, command, e);
	if (r == 0 && result)
		memcpy(result, mailbox_of(m, 0) + HANDLER_M_RESULT, HANDLER_RESULT_LEN);
	return r;
}

static void pages_put(struct mig_mirror *m, unsigned vcpu, enum handler_command command,
		      const struct mig_handler_page *v, uint32_t n)
{
	struct wr out = mail_begin(m, vcpu, command, n);

	out = wr_of(mailbox_of(m, vcpu) + HANDLER_M_DESC, HANDLER_BATCH * HANDLER_DESC_LEN);
	for (uint32_t i = 0; i < n; i++) {
		wr_le64(&out, v[i].at.v);
		wr_le32(&out, v[i].offset);
		wr_le32(&out, v[i].len);
		wr_le64(&out, v[i].epoch);
		wr_bytes(&out, v[i].tag, sizeof(v[i].tag));
	}
}

static int pages_get(struct mig_mirror *m, unsigned vcpu, struct mig_handler_page *v, uint32_t n,
		     struct err *e)
{
	uint8_t copy[HANDLER_BATCH * HANDLER_DESC_LEN];
	struct rd in = rd_of(copy, n * HANDLER_DESC_LEN);

	memcpy(copy, mailbox_of(m, vcpu) + HANDLER_M_DESC, n * HANDLER_DESC_LEN);
	for (uint32_t i = 0; i < n; i++) {
		rd_skip(&in, HANDLER_D_LEN);
		rd_le32(&in, &v[i].len);
		rd_le64(&in, &v[i].epoch);
		rd_bytes(&in, v[i].tag, sizeof(v[i].tag));
		if (v[i].len && v[i].len != PAGE_LEN)
			return err_set(e, -EPROTO,
				       "the guest's migration handler: a page of %" PRIu32 " bytes",
				       v[i].len);
	}
	return 0;
}

int mig_handler_pages(struct mig_mirror *m, unsigned vcpu, enum handler_command command,
		      struct mig_handler_page *v, uint32_t n, struct err *e)
{
	int r;

	if (n > HANDLER_BATCH)
		return err_set(e, -EMSGSIZE, "%" PRIu32 " pages in one call of the handler", n);
	pages_put(m, vcpu, command, v, n);
	r = enter(m, vcpu, command, e);
	return r == 0 && command == HANDLER_EXPORT ? pages_get(m, vcpu, v, n, e) : r;
}
