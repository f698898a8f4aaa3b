/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "chan/frame.h"

/* One direction; only its own thread touches it. */
struct dir {
	struct crypto_gcm *gcm; /* owned; NULL: in the clear */
	uint8_t nonce[GCM_NONCE_LEN];
	uint64_t seq;    /* of the next message */
	int dead;        /* -errno after which this direction is of no more use */
	struct buf head; /* sealed head and tag */
};

struct wire {
	struct chan c;
	struct chan_io io;
	enum chan_wire_mode mode;
	bool tcp;
	struct dir tx, rx;
	struct buf body; /* received */
};

static struct wire *wire_of(struct chan *c)
{
	return (struct wire *)c;
}

static size_t tag_len(const struct dir *d)
{
	return d->gcm ? GCM_TAG_LEN : 0;
}

static int room(struct buf *b, size_t len, struct err *e)
{
	buf_reset(b);
	return buf_reserve(b, len, e);
}

/* The sequence number is used up by this, whatever comes of it: no nonce serves twice. */
static int seq_next(struct dir *d, uint64_t *seq, struct err *e)
{
	if (d->seq == UINT64_MAX)
		return err_set(e, -EOVERFLOW, "all sequence numbers of this channel are used up");
	*seq = d->seq++;
	return 0;
}

static void nonce_make(const struct dir *d, uint64_t seq, uint8_t out[GCM_NONCE_LEN])
{
	memcpy(out, d->nonce, GCM_NONCE_LEN);
	for (unsigned i = 0; i < sizeof(seq); i++)
		out[GCM_NONCE_LEN - 1 - i] ^= (uint8_t)(seq >> (8 * i));
}

/* --- sending -------------------------------------------------------------------------------- */

struct outgoing {
	uint8_t frame[CHAN_FRAME_LEN];
	struct iovec v[4];
	size_t n, total;
};

static void outgoing_add(struct outgoing *o, const void *p, size_t len)
{
	o->v[o->n++] = (struct iovec){ (void *)(uintptr_t)p, len };
	o->total += len;
}

static int head_seal(struct dir *d, const struct chan_msg *m, uint64_t seq, struct outgoing *o,
		     struct err *e)
{
	uint8_t nonce[GCM_NONCE_LEN];
	int r = room(&d->head, m->head_len + GCM_TAG_LEN, e);

	if (r < 0)
		return r;
	nonce_make(d, seq, nonce);
	r = crypto_gcm_seal(d->gcm, nonce, o->frame, sizeof(o->frame), m->head, m->head_len,
			    d->head.p, d->head.p + m->head_len, e);
	if (r < 0)
		return r;
	outgoing_add(o, d->head.p, m->head_len + GCM_TAG_LEN);
	return 0;
}

static int outgoing_make(struct wire *w, const struct chan_msg *m, struct outgoing *o,
			 struct err *e)
{
	struct chan_frame f = { .type = m->type,
				.head_len = (uint32_t)m->head_len,
				.body_len = (uint32_t)m->body_len };
	int r = seq_next(&w->tx, &f.seq, e);

	if (r < 0)
		return r;
	chan_frame_put(o->frame, &f);
	outgoing_add(o, o->frame, sizeof(o->frame));
	if (w->tx.gcm)
		r = head_seal(&w->tx, m, f.seq, o, e);
	else
		outgoing_add(o, m->head, m->head_len);
	outgoing_add(o, m->body, m->body_len);
	return r;
}

static int tx_check(struct wire *w, struct err *e)
{
	if (chan_io_aborted(&w->io))
		return err_set(e, -ECANCELED, "broken off");
	if (w->mode == CHAN_WIRE_READ)
		return err_set(e, -EOPNOTSUPP, "a file that is read");
	if (w->tx.dead)
		return err_set(e, w->tx.dead, "an earlier send failed");
	return 0;
}

static int wire_send(struct chan *c, const struct chan_msg *m, struct err *e)
{
	struct wire *w = wire_of(c);
	struct outgoing o = { 0 };
	int r = tx_check(w, e);

	if (r < 0)
		return r;
	r = outgoing_make(w, m, &o, e);
	if (r == 0)
		r = chan_io_writev(&w->io, o.v, o.n, e);
	if (r < 0) {
		w->tx.dead = r;
		/* The peer must not take what comes next for the rest of this message. What it has
		 * to say about it can still be received. */
		if (w->mode == CHAN_WIRE_BOTH)
			shutdown(w->io.fd, SHUT_WR);
		return r;
	}
	c->bytes_sent += o.total;
	return 0;
}

bool chan_wire_cut(struct chan *c, const struct chan_msg *m)
{
	struct wire *w = wire_of(c);
	struct outgoing o = { 0 };
	struct err e;
	size_t left;

	if (c->ops->send != wire_send)
		return false;
	if (tx_check(w, &e) == 0 && outgoing_make(w, m, &o, &e) == 0) {
		left = o.total / 2;
		for (size_t i = 0; i < o.n; i++) {
			if (o.v[i].iov_len > left)
				o.v[i].iov_len = left;
			left -= o.v[i].iov_len;
		}
		w->tx.dead = chan_io_writev(&w->io, o.v, o.n, &e);
	}
	chan_io_abort(&w->io);
	return true;
}

/* --- receiving ------------------------------------------------------------------------------ */

struct incoming {
	uint8_t frame[CHAN_FRAME_LEN];
	struct chan_frame f;
	struct chan_room room; /* the receiver's */
	uint8_t *body;         /* in there, or in our own memory */
	size_t got;
};

static int frame_recv(struct wire *w, struct incoming *in, int64_t deadline, struct err *e)
{
	struct iovec v = { in->frame, sizeof(in->frame) };
	int r = chan_io_readv(&w->io, &v, 1, deadline, &in->got, e);

	if (r == 0)
		r = chan_frame_get(in->frame, &in->f, e);
	if (r < 0)
		return r;
	if (in->f.seq != w->rx.seq)
		return err_set(e, -EPROTO,
			       "message %llu where %llu must be: replayed, lost or moved",
			       (unsigned long long)in->f.seq, (unsigned long long)w->rx.seq);
	return 0;
}

static int head_open(struct dir *d, const struct incoming *in, struct err *e)
{
	uint8_t nonce[GCM_NONCE_LEN];

	nonce_make(d, in->f.seq, nonce);
	return crypto_gcm_open(d->gcm, nonce, in->frame, sizeof(in->frame), d->head.p,
			       in->f.head_len, d->head.p + in->f.head_len, d->head.p, e);
}

static int body_room(struct wire *w, struct incoming *in, struct err *e)
{
	int r = 0;

	if (in->f.body_len > in->room.len)
		r = room(&w->body, in->f.body_len, e);
	in->body = in->f.body_len > in->room.len ? w->body.p : in->room.p;
	return r;
}

static int rest_recv(struct wire *w, struct incoming *in, struct err *e)
{
	size_t head_len = in->f.head_len + tag_len(&w->rx);
	struct iovec v[2];
	uint64_t seq;
	int r = room(&w->rx.head, head_len, e);

	if (r == 0)
		r = body_room(w, in, e);
	if (r == 0)
		r = seq_next(&w->rx, &seq, e);
	if (r < 0)
		return r;
	v[0] = (struct iovec){ w->rx.head.p, head_len };
	v[1] = (struct iovec){ in->body, in->f.body_len };
	r = chan_io_readv(&w->io, v, 2, chan_io_deadline(CHAN_STALL_MS), &in->got, e);
	return r == 0 && w->rx.gcm ? head_open(&w->rx, in, e) : r;
}

static int wire_recv(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		     struct err *e)
{
	struct wire *w = wire_of(c);
	struct incoming in = { .room = room };
	int r;

	if (chan_io_aborted(&w->io))
		return err_set(e, -ECANCELED, "broken off");
	if (w->mode == CHAN_WIRE_WRITE)
		return err_set(e, -EOPNOTSUPP, "a file that is written");
	if (w->rx.dead)
		return err_set(e, w->rx.dead, "an earlier receive failed");
	r = frame_recv(w, &in, chan_io_deadline(timeout_ms), e);
	if (r == 0)
		r = rest_recv(w, &in, e);
	if (r < 0) {
		if (r != -ETIMEDOUT || in.got)
			w->rx.dead = r;
		return r == -ECONNRESET && in.got ? err_wrap(e, r, "in the middle of a message")
						  : r;
	}
	c->bytes_received += in.got;
	*m = (struct chan_msg){ .type = in.f.type,
				.head = w->rx.head.p,
				.head_len = in.f.head_len,
				.body = in.body,
				.body_len = in.f.body_len };
	return 0;
}

static int wire_pending(struct chan *c, int timeout_ms, struct err *e)
{
	struct wire *w = wire_of(c);
	int r;

	if (chan_io_aborted(&w->io))
		return err_set(e, -ECANCELED, "broken off");
	if (w->io.file)
		return w->mode == CHAN_WIRE_READ;
	if (w->rx.dead)
		return 1;
	r = chan_io_wait(&w->io, POLLIN, chan_io_deadline(timeout_ms), e);
	return r == -ETIMEDOUT ? 0 : r < 0 ? r : 1;
}

/* --- life ----------------------------------------------------------------------------------- */

static void wire_abort(struct chan *c)
{
	chan_io_abort(&wire_of(c)->io);
}

static void dir_fini(struct dir *d)
{
	crypto_gcm_free(d->gcm);
	buf_fini(&d->head);
}

static void wire_free(struct chan *c)
{
	struct wire *w = wire_of(c);

	if (w->mode == CHAN_WIRE_WRITE && fsync(w->io.fd) < 0)
		log_warn("chan", "%s: sync: %m: it may be incomplete", c->peer);
	if (w->tcp)
		chan_io_linger(&w->io);
	chan_io_fini(&w->io);
	dir_fini(&w->tx);
	dir_fini(&w->rx);
	buf_fini(&w->body);
	free(w);
}

static const struct chan_ops wire_ops = {
	.send = wire_send,
	.recv = wire_recv,
	.pending = wire_pending,
	.abort = wire_abort,
	.free = wire_free,
};

static int dir_init(struct dir *d, const struct chan_dir_keys *keys, uint64_t seq, struct err *e)
{
	d->seq = seq;
	if (!keys)
		return 0;
	memcpy(d->nonce, keys->nonce, sizeof(d->nonce));
	return crypto_gcm_new(keys->key, &d->gcm, e);
}

int chan_wire_new(struct chan_io *io, const struct chan_wire_config *cfg, struct chan **out,
		  struct err *e)
{
	struct wire *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		chan_io_fini(io);
		return err_set(e, -ENOMEM, "no memory for a channel");
	}
	w->c.ops = &wire_ops;
	w->io.fd = io->fd;
	w->io.abort_fd = io->abort_fd;
	w->io.file = io->file; /* and no parent: that was the handshake's */
	*io = CHAN_IO_NONE;
	w->mode = cfg->mode;
	w->tcp = cfg->tcp;
	snprintf(w->c.peer, sizeof(w->c.peer), "%s", cfg->peer);
	r = dir_init(&w->tx, cfg->keys ? &cfg->keys->tx : NULL, cfg->first_seq, e);
	if (r == 0)
		r = dir_init(&w->rx, cfg->keys ? &cfg->keys->rx : NULL, cfg->first_seq, e);
	if (r < 0) {
		wire_free(&w->c);
		return r;
	}
	*out = &w->c;
	return 0;
}
