/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/chan.h"

#include <errno.h>

#include "base/log.h"

int chan_send(struct chan *c, const struct chan_msg *m, struct err *e)
{
	int r;

	if (m->head_len > CHAN_HEAD_MAX || m->body_len > CHAN_BODY_MAX)
		return err_set(e, -EMSGSIZE,
			       "to %s: a head of %zu and a body of %zu bytes, over %u, %u", c->peer,
			       m->head_len, m->body_len, CHAN_HEAD_MAX, CHAN_BODY_MAX);
	r = c->ops->send(c, m, e);
	if (r < 0)
		return err_wrap(e, r, "to %s", c->peer);
	log_debug("chan", "to %s: type %u, head %zu, body %zu", c->peer, m->type, m->head_len,
		  m->body_len);
	return 0;
}

int chan_recv(struct chan *c, struct chan_msg *m, int timeout_ms, struct err *e)
{
	return chan_recv_into(c, m, (struct chan_room){ NULL, 0 }, timeout_ms, e);
}

int chan_recv_into(struct chan *c, struct chan_msg *m, struct chan_room room, int timeout_ms,
		   struct err *e)
{
	int r = c->ops->recv(c, m, room, timeout_ms, e);

	if (r < 0)
		return err_wrap(e, r, "from %s", c->peer);
	log_debug("chan", "from %s: type %u, head %zu, body %zu", c->peer, m->type, m->head_len,
		  m->body_len);
	return 0;
}

int chan_pending(struct chan *c, int timeout_ms, struct err *e)
{
	int r = c->ops->pending(c, timeout_ms, e);

	return r < 0 ? err_wrap(e, r, "from %s", c->peer) : r;
}

void chan_abort(struct chan *c)
{
	c->ops->abort(c);
}

void chan_free(struct chan *c)
{
	if (c)
		c->ops->free(c);
}
