/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ranges.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void ranges_init(struct ranges *s)
{
	*s = (struct ranges){ 0 };
	pthread_mutex_init(&s->lock, NULL);
}

void ranges_fini(struct ranges *s)
{
	free(s->v);
	s->v = NULL;
	s->n = s->cap = 0;
	pthread_mutex_destroy(&s->lock);
}

static int room_for(struct ranges *s, size_t n, struct err *e)
{
	size_t cap = s->cap ? s->cap : 16;
	struct range *v;

	if (n <= s->cap)
		return 0;
	while (cap < n)
		cap *= 2;
	v = reallocarray(s->v, cap, sizeof(*v));
	if (!v)
		return err_set(e, -ENOMEM, "no memory for %zu intervals", cap);
	s->v = v;
	s->cap = cap;
	return 0;
}

/* Index of the first interval whose end is at or after v (or n). */
static size_t first_reaching(const struct ranges *s, uint64_t v)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].end < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Replace intervals [from, to) by the k intervals at with. Room was made before. */
static void splice(struct ranges *s, size_t from, size_t to, const struct range *with, size_t k)
{
	if (s->n > to)
		memmove(&s->v[from + k], &s->v[to], (s->n - to) * sizeof(*s->v));
	if (k)
		memcpy(&s->v[from], with, k * sizeof(*s->v));
	s->n = s->n - (to - from) + k;
}

static int interval_check(uint64_t start, uint64_t end, struct err *e)
{
	if (start < end)
		return 0;
	return err_set(e, -EINVAL, "empty interval %#" PRIx64 "..%#" PRIx64, start, end);
}

int ranges_add(struct ranges *s, uint64_t start, uint64_t end, struct err *e)
{
	struct range merged = { start, end };
	size_t from, to;
	int r = interval_check(start, end, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = room_for(s, s->n + 1, e);
	if (r == 0) {
		from = to = first_reaching(s, start);
		while (to < s->n && s->v[to].start <= end) {
			if (s->v[to].start < merged.start)
				merged.start = s->v[to].start;
			if (s->v[to].end > merged.end)
				merged.end = s->v[to].end;
			to++;
		}
		splice(s, from, to, &merged, 1);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

int ranges_remove(struct ranges *s, uint64_t start, uint64_t end, struct err *e)
{
	struct range left[2];
	size_t from, to, k = 0;
	int r = interval_check(start, end, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = room_for(s, s->n + 1, e);
	if (r == 0) {
		from = to = first_reaching(s, start);
		while (to < s->n && s->v[to].start < end) {
			if (s->v[to].start < start)
				left[k++] = (struct range){ s->v[to].start, start };
			if (s->v[to].end > end)
				left[k++] = (struct range){ end, s->v[to].end };
			to++;
		}
		splice(s, from, to, left, k);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

bool ranges_has(struct ranges *s, uint64_t v)
{
	size_t i;
	bool has;

	pthread_mutex_lock(&s->lock);
	i = first_reaching(s, v);
	if (i < s->n && s->v[i].end == v)
		i++;
	has = i < s->n && s->v[i].start <= v;
	pthread_mutex_unlock(&s->lock);
	return has;
}

void ranges_clear(struct ranges *s)
{
	pthread_mutex_lock(&s->lock);
	s->n = 0;
	pthread_mutex_unlock(&s->lock);
}

int ranges_copy(struct ranges *to, struct ranges *from, struct err *e)
{
	struct ranges *first = to < from ? to : from;
	struct ranges *second = to < from ? from : to;
	int r;

	if (to == from)
		return 0;
	pthread_mutex_lock(&first->lock);
	pthread_mutex_lock(&second->lock);
	r = room_for(to, from->n, e);
	if (r == 0) {
		if (from->n)
			memcpy(to->v, from->v, from->n * sizeof(*from->v));
		to->n = from->n;
	}
	pthread_mutex_unlock(&second->lock);
	pthread_mutex_unlock(&first->lock);
	return r;
}

uint64_t ranges_total(struct ranges *s)
{
	uint64_t total = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n; i++)
		total += s->v[i].end - s->v[i].start;
	pthread_mutex_unlock(&s->lock);
	return total;
}
