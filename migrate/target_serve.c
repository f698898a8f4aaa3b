/* SPDX-License-Identifier: Apache-2.0 */

/* One connection of a target, from its HELLO to its end. */

#include "migrate/target.h"

#include <errno.h>
#include <string.h>

/* How long the source may be silent in a state. */
static unsigned patience_ms(const struct mig_target *t)
{
	switch ((enum target_state)t->state) {
	case TARGET_QUESTION:
	case TARGET_SESSION:
		return MIG_SESSION_MS;
	case TARGET_STARTED:
	case TARGET_PASSES:
		return MIG_STALL_MS;
	case TARGET_VCPUS:
	case TARGET_SEALED:
	case TARGET_LIST:
	case TARGET_LISTED:
	case TARGET_LOADING:
	case TARGET_STATED:
		return MIG_STALL_MS; /* the source's own limits are shorter */
	case TARGET_READY:
		return MIG_COMMIT_MS;
	case TARGET_RUNNING:
		return MIG_RUNNING_MS;
	case TARGET_NONE:
	case TARGET_WAIT:
	case TARGET_HELD:
	case TARGET_LINGER:
	case TARGET_DONE:
	case TARGET_ENDED:
	case TARGET_STATES:
		break;
	}
	return MIG_HELLO_MS;
}

static bool cancelled(struct mig_target *t)
{
	bool yes;

	pthread_mutex_lock(&t->lock);
	yes = t->cancelled && !t->sealed;
	pthread_mutex_unlock(&t->lock);
	return yes;
}

/* One try, a poll interval long. -EAGAIN: nothing yet. */
static int try_next(struct mig_target *t, struct chan_msg *m, struct err *e)
{
	int r;

	if (t->reader.running) {
		r = mig_reader_get(&t->reader, MIG_POLL_MS, &t->batch, e);
		if (r == 0)
			*m = (struct chan_msg){ t->batch->type, t->batch->head, t->batch->head_len,
						t->batch->body, t->batch->body_len };
		return r;
	}
	r = chan_pending(t->c, MIG_POLL_MS, e);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	return chan_recv(t->c, m, MIG_STOPPED_MS, e);
}

static int next(struct mig_target *t, struct chan_msg *m, struct err *e)
{
	unsigned patience = patience_ms(t);
	uint64_t deadline = mig_deadline(patience);

	for (;;) {
		int r;

		if (cancelled(t))
			return err_set(e, -ECANCELED, "cancelled");
		r = try_next(t, m, e);
		if (r != -EAGAIN)
			return r;
		if (mig_now_ns() > deadline)
			return err_set(e, -ETIMEDOUT,
				       "the source said nothing for %u ms in state %s", patience,
				       mig_target_table.names[t->state]);
	}
}

static void batch_return(struct mig_target *t)
{
	if (t->batch)
		mig_reader_put(&t->reader, steal_ptr(&t->batch));
}

/* The reader runs from after START to END, which is the last it reads. */
static int reader_switch(struct mig_target *t, uint32_t type, struct err *e)
{
	const struct mig_pump_params from = { t->c, t->digest, mig_path_bodies(&t->path) };

	if (type == STREAM_START && t->state == TARGET_STARTED)
		return mig_reader_start(&t->reader, &from, MIG_STALL_MS, e);
	if (type == STREAM_END)
		mig_pump_stop(&t->reader, MIG_READY_MS); /* it ends by itself */
	return 0;
}

static void bytes_note(struct mig_target *t)
{
	uint64_t bytes = t->reader.running ? mig_pump_bytes(&t->reader) : t->c->bytes_received;

	pthread_mutex_lock(&t->lock);
	t->stats.bytes_sent = bytes;
	pthread_mutex_unlock(&t->lock);
}

static int step(struct mig_target *t, struct err *e)
{
	unsigned before = t->state;
	struct chan_msg m = { 0 };
	uint32_t type;
	int r = next(t, &m, e);

	if (r < 0)
		return r;
	type = m.type;
	r = mig_table_step(&mig_target_table, &t->state, t, &m, e);
	batch_return(t);
	bytes_note(t);
	if (r < 0)
		return r;
	r = reader_switch(t, type, e);
	if (r < 0)
		return r;
	if (type == STREAM_ABORT)
		return err_set(e, -ECONNABORTED, "the source in state %s: %s",
			       mig_target_table.names[before], t->abort.reason);
	return t->lost ? err_set(e, -ECONNRESET, "the source is gone") : 0;
}

int mig_target_serve(struct mig_target *t, struct err *e)
{
	struct err ignored;
	int r;

	t->lost = false;
	t->abort_code = 0;
	t->abort = (struct stream_abort){ 0 };
	do {
		r = step(t, e);
	} while (r == 0 && t->state != TARGET_DONE && t->state != TARGET_WAIT);
	mig_prefault_stop(&t->prefault, &ignored); /* r says already how this ended */
	return r;
}
