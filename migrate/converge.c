/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/converge.h"

static uint64_t expected(const struct mig_converge *in)
{
	double ns;

	if (in->left == 0)
		return in->fixed_ns;
	if (in->send_rate == 0)
		return UINT64_MAX;
	ns = (double)in->left * 1e9 / (double)in->send_rate + (double)in->fixed_ns;
	return ns >= 1.8e19 ? UINT64_MAX : (uint64_t)ns;
}

enum mig_verdict mig_converge(const struct mig_converge *in, uint64_t *expected_ns)
{
	*expected_ns = expected(in);
	if (in->left == 0 || *expected_ns <= in->limit_ns)
		return MIG_STOP_NOW;
	return in->pass >= in->max_passes ? MIG_DIVERGES : MIG_GO_ON;
}
