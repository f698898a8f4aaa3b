/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/manifest.h"

#include <errno.h>
#include <inttypes.h>

int stream_manifest_get(const uint8_t *p, size_t len, struct stream_manifest *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_manifest m = { 0 };
	uint32_t zero = 0;
	int r = stream_prefix_get(&in, STREAM_MANIFEST, e);

	if (r < 0)
		return r;
	rd_le32(&in, &m.proof);
	rd_le32(&in, &zero);
	rd_bytes(&in, m.record, sizeof(m.record));
	r = stream_get_end(&in, STREAM_MANIFEST, e);
	if (r < 0)
		return r;
	if (m.proof == 0 || m.proof >= STREAM_PROOFS || zero)
		return err_set(e, -EPROTO, "MANIFEST: of kind %" PRIu32, m.proof);
	*out = m;
	return 0;
}

int stream_manifest_put(struct wr *out, const struct stream_manifest *m, struct err *e)
{
	stream_prefix_put(out, STREAM_MANIFEST);
	wr_le32(out, m->proof);
	wr_le32(out, 0);
	wr_bytes(out, m->record, sizeof(m->record));
	return stream_put_end(out, STREAM_MANIFEST, e);
}
