/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "control/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_request req;
	struct err e = { 0 };
	int r = control_request_get((const char *)data, size, &req, &e);

	if ((r == 0) != (e.code == 0) || (r == 0 && req.cmd >= CONTROL_CMD_N))
		__builtin_trap();
	if (r == 0 && req.cmd == CONTROL_MIGRATE && strlen(req.args.uri) > CONTROL_TEXT_MAX)
		__builtin_trap();
	control_request_fini(&req);
	return 0;
}
