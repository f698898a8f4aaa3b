/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/vmsa.h"

#include <errno.h>
#include <inttypes.h>

int stream_vmsa_get(const uint8_t *p, size_t len, const uint8_t *body, size_t body_len,
		    uint32_t have, uint32_t vcpus, struct stream_vmsa *out, struct err *e)
{
	struct rd in = rd_of(p, len);
	struct stream_vmsa m = { .packet = body };
	uint32_t packet_len = 0;
	int r = stream_prefix_get(&in, STREAM_VMSA, e);

	if (r < 0)
		return r;
	rd_le32(&in, &m.vcpu);
	rd_le32(&in, &packet_len);
	rd_bytes(&in, m.hdr, sizeof(m.hdr));
	r = stream_get_end(&in, STREAM_VMSA, e);
	if (r < 0)
		return r;
	if (m.vcpu >= vcpus)
		return err_set(e, -EPROTO, "VMSA: vCPU %" PRIu32 " of %" PRIu32, m.vcpu, vcpus);
	if (m.vcpu != have)
		return err_set(e, -EPROTO, "VMSA: vCPU %" PRIu32 ", expected %" PRIu32, m.vcpu,
			       have);
	if (packet_len != STREAM_VMSA_LEN || body_len != STREAM_VMSA_LEN)
		return err_set(e, -EPROTO, "VMSA: vCPU %" PRIu32 ": %" PRIu32 " bytes in %zu",
			       m.vcpu, packet_len, body_len);
	*out = m;
	return 0;
}

int stream_vmsa_put(struct wr *out, const struct stream_vmsa *m, struct err *e)
{
	stream_prefix_put(out, STREAM_VMSA);
	wr_le32(out, m->vcpu);
	wr_le32(out, STREAM_VMSA_LEN);
	wr_bytes(out, m->hdr, sizeof(m->hdr));
	return stream_put_end(out, STREAM_VMSA, e);
}
