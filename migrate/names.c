/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/migrate.h"

static const char *const phases[] = {
	[MIG_PHASE_NONE] = "none",     [MIG_PHASE_HANDSHAKE] = "handshake",
	[MIG_PHASE_PASSES] = "passes", [MIG_PHASE_STOPPED] = "stopped",
	[MIG_PHASE_READY] = "ready",   [MIG_PHASE_COMMIT] = "commit",
	[MIG_PHASE_DONE] = "done",
};

static const char *const outcomes[] = {
	[MIG_OUTCOME_NONE] = "none",
	[MIG_OUTCOME_MOVED] = "moved",
	[MIG_OUTCOME_STAYED] = "stayed",
	[MIG_OUTCOME_UNKNOWN] = "unknown",
};

const char *mig_phase_name(enum mig_phase p)
{
	return (unsigned)p < sizeof(phases) / sizeof(phases[0]) ? phases[p] : "?";
}

const char *mig_outcome_name(enum mig_outcome o)
{
	return (unsigned)o < sizeof(outcomes) / sizeof(outcomes[0]) ? outcomes[o] : "?";
}
