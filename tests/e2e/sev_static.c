/* SPDX-License-Identifier: Apache-2.0 */

/* A program that nothing can be preloaded into: it sees a /dev/sev only where there is one. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include <linux/psp-sev.h>

int main(void)
{
	struct sev_user_data_status status = { 0 };
	struct sev_issue_cmd cmd = { .cmd = SEV_PLATFORM_STATUS, .data = (uintptr_t)&status };
	int fd = open("/dev/sev", O_RDONLY);

	if (fd < 0 || ioctl(fd, SEV_ISSUE_CMD, &cmd) < 0) {
		perror("/dev/sev");
		return 1;
	}
	printf("SEV API %u.%u build %u\n", status.api_major, status.api_minor, status.build);
	return 0;
}
