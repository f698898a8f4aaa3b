/* SPDX-License-Identifier: Apache-2.0 */

/* Can this VM take that guest? Asked by START, and by a source that only wants to know. */

#include "migrate/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/psp.h"
#include "sev/es.h"
#include "stream/verdict.h"

static int verdict_say(struct mig_target *t, const struct lines *differences, struct err *e)
{
	uint8_t space[64 + LINES_MAX * LINES_LEN];
	struct wr head = wr_of(space, sizeof(space));
	int r = stream_verdict_put(&head, differences, e);

	if (r == 0)
		mig_target_say(t, STREAM_VERDICT, &head);
	return r;
}

static int compare(struct mig_target *t, const struct stream_start *m, enum mig_accept how,
		   struct lines *differences, struct err *e)
{
	struct mig_vm_desc from = { .vcpus = m->vcpus,
				    .cbit = m->cbit,
				    .nram = m->ram.nram,
				    .machine = m->machine,
				    .machine_len = m->machine_len };
	struct err why;

	_Static_assert(sizeof(from.name) == STREAM_NAME_LEN, "see doc/PROTOCOL.md");
	memcpy(from.name, m->name, sizeof(from.name));
	for (uint32_t i = 0; i < m->ram.nram; i++)
		from.ram[i] = (struct mig_ram){ gpa(m->ram.ram[i].at), m->ram.ram[i].size, NULL };
	if ((m->policy & PSP_POLICY_ES) && sev_vmsa_movable(t->vm->sev, false, &why) < 0)
		lines_add(differences, "%s", why.msg);
	return t->vm->ops->accept(t->vm, &from, how, differences, e);
}

/* All of them go out by themselves, and as many as fit into the reason. */
int mig_target_accept(struct mig_target *t, const struct stream_start *m, struct err *e)
{
	struct lines differences = { 0 };
	int r = compare(t, m, MIG_TAKE, &differences, e);
	char all[200];

	if (r < 0 || !differences.n)
		return r;
	r = verdict_say(t, &differences, e);
	if (r < 0)
		return r;
	lines_join(&differences, all, sizeof(all));
	return err_set(e, -ENOTSUP, "%s", all);
}

int mig_target_question(void *self, const struct chan_msg *m, struct err *e)
{
	struct lines differences = { 0 };
	struct mig_target *t = self;
	struct stream_start start;
	int r = stream_start_get(m->head, m->head_len, &start, e);

	if (r == 0)
		r = compare(t, &start, MIG_ASK, &differences, e);
	return r < 0 ? r : verdict_say(t, &differences, e);
}
