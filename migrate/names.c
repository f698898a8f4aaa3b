/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/migrate.h"

#include <errno.h>
#include <string.h>

static const char *const phases[] = {
	[MIG_PHASE_NONE] = "none",     [MIG_PHASE_HANDSHAKE] = "handshake",
	[MIG_PHASE_PASSES] = "passes", [MIG_PHASE_STOPPED] = "stopped",
	[MIG_PHASE_READY] = "ready",   [MIG_PHASE_COMMIT] = "commit",
	[MIG_PHASE_DONE] = "done",
};

static const char *const outcomes[] = {
	[MIG_OUTCOME_NONE] = "none",         [MIG_OUTCOME_MOVED] = "moved",
	[MIG_OUTCOME_STAYED] = "stayed",     [MIG_OUTCOME_UNKNOWN] = "unknown",
	[MIG_OUTCOME_ANSWERED] = "answered",
};

const char *mig_phase_name(enum mig_phase p)
{
	return (unsigned)p < sizeof(phases) / sizeof(phases[0]) ? phases[p] : "?";
}

const char *mig_outcome_name(enum mig_outcome o)
{
	return (unsigned)o < sizeof(outcomes) / sizeof(outcomes[0]) ? outcomes[o] : "?";
}

static const char *const parties[MIG_PARTY_N] = {
	[MIG_PARTY_HOST] = "host",
	[MIG_PARTY_FIRMWARE] = "firmware",
	[MIG_PARTY_GUEST] = "guest",
};

const char *mig_party_name(enum mig_party p)
{
	return (unsigned)p < MIG_PARTY_N ? parties[p] : "?";
}

static unsigned party_bit(const char *word, size_t len)
{
	for (unsigned p = 0; p < MIG_PARTY_N; p++)
		if (strlen(parties[p]) == len && memcmp(parties[p], word, len) == 0)
			return 1u << p;
	return 0;
}

int mig_parties_get(const char *text, unsigned *out, struct err *e)
{
	*out = 0;
	while (text && *text) {
		size_t len = strcspn(text, ",");
		unsigned bit = party_bit(text, len);

		if (!bit)
			return err_set(e, -EINVAL, "'%.*s' is not host, firmware or guest",
				       len < 40 ? (int)len : 40, text);
		*out |= bit;
		text += len;
		if (*text == ',' && text[1])
			text++;
	}
	return 0;
}

static const struct {
	const char *name, *words;
} ways[MIG_WAYS] = {
	[MIG_WAY_AUTO] = { "auto", "way that is still to be chosen" },
	[MIG_WAY_PSP] = { "psp", "Secure Processors" },
	[MIG_WAY_HANDLER] = { "handler", "guest's migration handler" },
};

const char *mig_way_name(enum mig_way w)
{
	return (unsigned)w < MIG_WAYS ? ways[w].name : "?";
}

const char *mig_way_words(enum mig_way w)
{
	return (unsigned)w < MIG_WAYS ? ways[w].words : "?";
}

int mig_way_get(const char *text, enum mig_way *out, struct err *e)
{
	for (unsigned w = 0; w < MIG_WAYS; w++)
		if (strcmp(ways[w].name, text) == 0) {
			*out = (enum mig_way)w;
			return 0;
		}
	return err_set(e, -EINVAL, "'%.40s' is not auto, psp or handler", text);
}
