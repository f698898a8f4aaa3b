/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/frame.h"

#include <assert.h>
#include <errno.h>

#include "base/rdwr.h"
#include "chan/chan.h"

void chan_frame_put(uint8_t out[CHAN_FRAME_LEN], const struct chan_frame *f)
{
	struct wr w = wr_of(out, CHAN_FRAME_LEN);

	wr_le32(&w, CHAN_FRAME_MAGIC);
	wr_le32(&w, f->type);
	wr_le32(&w, f->head_len);
	wr_le32(&w, f->body_len);
	wr_le64(&w, f->seq);
	assert(wr_ok(&w) && w.len == CHAN_FRAME_LEN);
}

int chan_frame_get(const uint8_t in[CHAN_FRAME_LEN], struct chan_frame *out, struct err *e)
{
	struct rd r = rd_of(in, CHAN_FRAME_LEN);
	struct chan_frame f = { 0 };
	uint32_t magic = 0;

	rd_le32(&r, &magic);
	rd_le32(&r, &f.type);
	rd_le32(&r, &f.head_len);
	rd_le32(&r, &f.body_len);
	rd_le64(&r, &f.seq);
	if (!rd_done(&r) || magic != CHAN_FRAME_MAGIC)
		return err_set(e, -EPROTO, "not a frame of sevmig (it begins with %#x)", magic);
	if (f.head_len > CHAN_HEAD_MAX)
		return err_set(e, -EPROTO, "frame: a head of %u bytes, over %u", f.head_len,
			       CHAN_HEAD_MAX);
	if (f.body_len > CHAN_BODY_MAX)
		return err_set(e, -EPROTO, "frame: a body of %u bytes, over %u", f.body_len,
			       CHAN_BODY_MAX);
	*out = f;
	return 0;
}
