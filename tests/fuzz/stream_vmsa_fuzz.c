/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/vmsa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the first of four vCPUs, and as the one its own index says, with a body of the right length
 * and without one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t body[STREAM_VMSA_LEN];
	uint8_t again[STREAM_VMSA_LEN];
	struct wr out = wr_of(again, sizeof(again));
	struct rd in = rd_of(data, size);
	uint32_t vcpu = 0;
	struct stream_vmsa m;
	struct err e;

	rd_skip(&in, 8);
	rd_le32(&in, &vcpu);
	if (stream_vmsa_get(data, size, body, sizeof(body), 0, 4, &m, &e) == 0 && m.vcpu != 0)
		abort();
	if (stream_vmsa_get(data, size, NULL, 0, vcpu, UINT32_MAX, &m, &e) == 0 ||
	    stream_vmsa_get(data, size, body, sizeof(body), vcpu, vcpu, &m, &e) == 0)
		abort();
	if (stream_vmsa_get(data, size, body, sizeof(body), vcpu, UINT32_MAX, &m, &e) == 0 &&
	    (stream_vmsa_put(&out, &m, &e) < 0 || out.len != size || memcmp(again, data, size)))
		abort();
	return 0;
}
