/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int mig_table_step(const struct mig_table *t, unsigned *state, void *self, const struct chan_msg *m,
		   struct err *e)
{
	const char *name = stream_type_name(m->type);
	const struct mig_step *s;
	int r;

	if (!name)
		return err_set(e, -EPROTO, "message of type %" PRIu32 " in state %s", m->type,
			       t->names[*state]);
	s = &t->step[*state][m->type];
	if (!s->handle)
		return err_set(e, -EPROTO, "%s is not due in state %s", name, t->names[*state]);
	if (m->body_len && m->type != STREAM_PRIVATE_PAGES && m->type != STREAM_VMSA)
		return err_set(e, -EPROTO, "%s with a body of %zu bytes", name, m->body_len);
	r = s->handle(self, m, e);
	if (r < 0)
		return r;
	*state = r == 1 ? s->again : s->next;
	return 0;
}

size_t mig_table_print(const struct mig_table *t, char *text, size_t cap)
{
	size_t len = 0;

	len += (size_t)snprintf(text, cap, "| state | message | next | or |\n|---|---|---|---|\n");
	for (unsigned s = 0; s < t->nstates; s++) {
		for (unsigned m = 0; m < STREAM_TYPES; m++) {
			const struct mig_step *step = &t->step[s][m];

			if (!step->handle)
				continue;
			len += (size_t)snprintf(
				text + (len < cap ? len : cap), len < cap ? cap - len : 0,
				"| %s | %s | %s |%s%s |\n", t->names[s], stream_type_name(m),
				t->names[step->next], step->again ? " " : "",
				step->again ? t->names[step->again] : "");
		}
	}
	return len;
}
