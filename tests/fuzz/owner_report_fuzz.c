/* SPDX-License-Identifier: Apache-2.0 */

/* A hostile report against a hostile certificate. Input: 16 bits length of the report, the report,
 * the certificate. */

#include <stddef.h>
#include <stdint.h>

#include "base/rdwr.h"
#include "owner/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);
	const uint8_t *p = NULL;
	struct owner_report r;
	struct sevcert pek;
	struct err e = { 0 };
	uint16_t len = 0;

	if (rd_le16(&in, &len) < 0 || rd_span(&in, &p, len) < 0)
		return 0;
	if (owner_report_get(p, len, &r, &e) < 0 || sevcert_get(&in, &pek, &e) < 0)
		return 0;
	(void)!owner_report_verify(&r, &pek, &e);
	return 0;
}
