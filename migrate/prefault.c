/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/prefault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

/* As much as may go on after stop; a multiple of any huge page's length, and so are its limits. */
#define PIECE 0x800000u

static int range_fill(struct mig_prefault *p, const struct stream_prefault *f, struct err *e)
{
	uint64_t at = f->at, end = f->at + (uint64_t)f->pages * PAGE_LEN;

	while (at < end && !atomic_load_explicit(&p->stop, memory_order_relaxed)) {
		uint64_t next = (at / PIECE + 1) * PIECE < end ? (at / PIECE + 1) * PIECE : end;
		int r = sev_vm_prefault(p->sev, gpa(at), next - at, f->is_private, e);

		if (r < 0)
			return err_wrap(e, r, "memory at %#" PRIx64, at);
		at = next;
	}
	return 0;
}

static void *prefault_main(void *arg)
{
	struct mig_prefault *p = arg;

	for (uint32_t i = 0; i < p->n && p->r == 0; i++)
		p->r = range_fill(p, &p->v[i], &p->err);
	return NULL;
}

int mig_prefault_start(struct mig_prefault *p, struct sev_vm *sev, struct stream_start *m,
		       struct err *e)
{
	struct stream_prefault f;
	int r;

	*p = (struct mig_prefault){ .sev = sev };
	if (m->nprefault == 0)
		return 0;
	p->v = calloc(m->nprefault, sizeof(*p->v));
	if (!p->v)
		return err_set(e, -ENOMEM, "no memory for a list of ranges");
	while (p->n < m->nprefault && stream_prefault_next(m, &f))
		p->v[p->n++] = f;
	r = pthread_create(&p->thread, NULL, prefault_main, p);
	p->running = r == 0;
	if (r) {
		free(steal_ptr(&p->v));
		return err_set(e, -r, "no thread: %s", strerrordesc_np(r));
	}
	return 0;
}

int mig_prefault_stop(struct mig_prefault *p, struct err *e)
{
	if (!p->running)
		return 0;
	atomic_store_explicit(&p->stop, true, memory_order_relaxed);
	pthread_join(p->thread, NULL);
	p->running = false;
	free(steal_ptr(&p->v));
	if (p->r < 0)
		*e = p->err;
	return p->r;
}
