/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct hand {
	struct mig_crew *crew;
	unsigned i;
};

/* The next round's work, or NULL: the end. */
static mig_crew_fn *work_wait(struct mig_crew *c, unsigned *round, void **ctx)
{
	mig_crew_fn *fn;

	pthread_mutex_lock(&c->lock);
	while (!c->quit && c->round == *round)
		pthread_cond_wait(&c->moved, &c->lock);
	*round = c->round;
	*ctx = c->ctx;
	fn = c->quit ? NULL : c->fn;
	pthread_mutex_unlock(&c->lock);
	return fn;
}

static void work_done(struct mig_crew *c, unsigned i, int r, const struct err *e)
{
	pthread_mutex_lock(&c->lock);
	c->result[i] = r;
	c->err[i] = *e;
	if (--c->left == 0)
		pthread_cond_broadcast(&c->moved);
	pthread_mutex_unlock(&c->lock);
}

static void *hand_main(void *arg)
{
	struct hand h = *(struct hand *)arg;
	unsigned round = 0;
	mig_crew_fn *fn;
	void *ctx;

	free(arg);
	while ((fn = work_wait(h.crew, &round, &ctx))) {
		struct err e = { 0 };
		int r = fn(ctx, h.i, &e);

		work_done(h.crew, h.i, r, &e);
	}
	return NULL;
}

static int hand_start(struct mig_crew *c, unsigned i, struct err *e)
{
	struct hand *h = malloc(sizeof(*h));
	int r;

	if (!h)
		return err_set(e, -ENOMEM, "no memory for a thread");
	*h = (struct hand){ c, i };
	r = pthread_create(&c->thread[i], NULL, hand_main, h);
	if (!r)
		return 0;
	free(h);
	return err_set(e, -r, "no thread: %s", strerrordesc_np(r));
}

int mig_crew_start(struct mig_crew *c, unsigned n, struct err *e)
{
	*c = (struct mig_crew){ .n = 1 };
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->moved, NULL);
	while (c->n < n && c->n < MIG_CREW_MAX) {
		int r = hand_start(c, c->n, e);

		if (r < 0) {
			mig_crew_stop(c);
			return r;
		}
		c->n++;
	}
	return 0;
}

int mig_crew_run(struct mig_crew *c, mig_crew_fn *fn, void *ctx, struct err *e)
{
	struct err own = { 0 };
	int r;

	if (c->n == 1)
		return fn(ctx, 0, e);
	pthread_mutex_lock(&c->lock);
	c->fn = fn;
	c->ctx = ctx;
	c->left = c->n;
	c->round++;
	pthread_cond_broadcast(&c->moved);
	pthread_mutex_unlock(&c->lock);
	r = fn(ctx, 0, &own);
	work_done(c, 0, r, &own);
	pthread_mutex_lock(&c->lock);
	while (c->left)
		pthread_cond_wait(&c->moved, &c->lock);
	r = 0;
	for (unsigned i = 0; i < c->n && r == 0; i++) {
		r = c->result[i];
		if (r < 0)
			*e = c->err[i];
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

void mig_crew_stop(struct mig_crew *c)
{
	if (!c->n)
		return;
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	pthread_cond_broadcast(&c->moved);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 1; i < c->n; i++)
		pthread_join(c->thread[i], NULL);
	pthread_cond_destroy(&c->moved);
	pthread_mutex_destroy(&c->lock);
	c->n = 0;
}
