/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi/firmware.h"
#include "abi/psp.h"
#include "base/fd.h"
#include "cli/run.h"

#define OWNER_FILE_MAX 65536u

static int platform_open(struct run *r, struct err *e)
{
	int ret = cli_platform_open(r->cfg->platform, r->cfg->amd_chain, &r->platform, e);

	return ret < 0 ? ret : sev_platform_status(r->platform, &r->api, e);
}

/* A new guest begins a new file; one that arrives goes on with what is there, so that source and
 * target on one machine may share it. */
static int console_open(struct run *r, struct err *e)
{
	const char *to = r->cfg->console;
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (r->cfg->incoming ? O_APPEND : O_TRUNC);

	if (!to)
		return 0;
	r->console_fd = strcmp(to, "stdio") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
						 : open(to, flags, 0600);
	return r->console_fd < 0 ? err_set(e, -errno, "console: %s: %m", to) : 0;
}

static int machine_make(struct run *r, struct err *e)
{
	const char *console = r->cfg->console;
	bool stdio = console && strcmp(console, "stdio") == 0;
	struct vm_devices devices;
	struct vm_config vc = {
		.name = r->cfg->name,
		.memory = r->cfg->memory,
		.vcpus = r->cfg->vcpus,
		.policy = r->cfg->policy_bits,
		.cbit = r->cfg->cbit,
		.firmware_len = r->firmware.image.len,
		.firmware_migrates = r->firmware.table.migration & FIRMWARE_MIGRATES,
		/* A terminal is read by our own loop, which looks for the escape. */
		.console_in = stdio && !isatty(STDIN_FILENO) ? STDIN_FILENO : -1,
		.console_out = r->console_fd,
		.no_migration = r->cfg->no_migration,
		.devices = &devices,
	};
	int ret = run_devices_open(r->cfg, &devices, e);

	memcpy(vc.firmware_digest, r->firmware.digest, sizeof(vc.firmware_digest));
	if (ret == 0)
		ret = vm_new(&vc, r->platform, &r->vm, e);
	vm_devices_fini(&devices);
	return ret;
}

static int firmware_prepare(struct run *r, struct vm_firmware *out, struct err *e)
{
	struct cli_firmware *fw = &r->firmware;
	int ret = cli_firmware_files_read(fw, r->cfg->kernel, r->cfg->initrd, r->cfg->append, e);

	if (ret < 0)
		return ret;
	*out = (struct vm_firmware){
		.image = fw->image.p,
		.len = fw->image.len,
		.hashes = fw->hashes,
		.hashes_len = sizeof(fw->hashes),
		.kernel = fw->kernel.p,
		.kernel_len = fw->kernel.len,
		.initrd = fw->initrd.p,
		.initrd_len = fw->initrd.len,
		.append = r->cfg->append,
	};
	/* Secondary vCPUs of an SEV-ES guest begin where the image says. */
	out->es_reset = r->cfg->policy_bits & PSP_POLICY_ES ? fw->table.es_reset : 0;
	return 0;
}

static int guest_boot(struct run *r, struct err *e)
{
	struct vm_boot boot = {
		.kernel = r->cfg->kernel,
		.initrd = r->cfg->initrd,
		.append = r->cfg->append,
		.handler = r->cfg->handler,
	};
	struct vm_firmware firmware;
	auto_buf struct buf dh = { 0 };
	auto_buf struct buf session = { 0 };
	cleanup_with(run_broker_fini) struct run_broker broker = { 0 };
	cleanup_with(run_secret_fini) struct run_secret secret = { 0 };
	int ret = 0;

	if (r->cfg->dh)
		ret = fd_file_read(r->cfg->dh, OWNER_FILE_MAX, &dh, e);
	if (ret == 0 && r->cfg->session)
		ret = fd_file_read(r->cfg->session, OWNER_FILE_MAX, &session, e);
	if (ret == 0 && r->cfg->firmware) {
		ret = firmware_prepare(r, &firmware, e);
		boot.firmware = &firmware;
	}
	if (ret < 0)
		return ret;
	boot.dh = dh.p;
	boot.dh_len = dh.len;
	boot.session = session.p;
	boot.session_len = session.len;
	if (r->cfg->hold) {
		r->hold.secret_at = r->firmware.table.secret.base;
		boot.secret = run_hold;
		boot.secret_ctx = r;
	}
	if (r->cfg->broker)
		ret = run_broker_begin(&broker, r, &boot, e);
	else if (r->cfg->launch_secret || r->cfg->measurement)
		ret = run_secret_begin(&secret, r->cfg, &boot, e);
	return ret < 0 ? ret : vm_boot(r->vm, &boot, e);
}

static int server_start(struct run *r, struct err *e)
{
	int ret = control_server_new(steal_fd(&r->control_fd), &run_control_ops, r, &r->server, e);

	return ret < 0 ? ret : control_server_start(r->server, e);
}

/* The firmware's image stays for the boot. */
static int vm_make(struct run *r, struct err *e)
{
	int ret = 0;

	if (r->cfg->firmware)
		ret = cli_firmware_image_read(&r->firmware, r->cfg->firmware, e);
	return ret < 0 ? ret : machine_make(r, e);
}

int run_launch(struct run *r, struct err *e)
{
	int ret = vm_make(r, e);

	if (ret == 0)
		ret = guest_boot(r, e);
	cli_firmware_fini(&r->firmware);
	return ret;
}

static int guest_load(struct run *r, struct err *e)
{
	bool empty = r->cfg->incoming && !r->cfg->handler;
	int ret = empty ? vm_incoming(r->vm, e) : guest_boot(r, e);

	if (ret == 0 && !r->cfg->incoming)
		run_sev_refresh(r);
	if (ret == 0 && r->cfg->incoming && r->cfg->handler)
		ret = vm_park(r->vm, e);
	if (ret == 0 && r->cfg->incoming)
		ret = run_target_listen(r, e);
	return ret;
}

int run_init(struct run *r, const struct run_cfg *cfg, struct err *e)
{
	int ret;

	*r = (struct run){ .cfg = cfg, .control_fd = -1, .wake_fd = -1, .console_fd = -1 };
	r->dst.wake_fd = -1;
	pthread_mutex_init(&r->vm_lock, NULL);
	pthread_mutex_init(&r->lock, NULL);
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake_fd < 0)
		return err_set(e, -errno, "eventfd: %m");
	ret = cli_runtime_listen(cfg->name, &r->control_fd, r->socket, sizeof(r->socket), e);
	if (ret < 0) {
		r->socket[0] = '\0'; /* not ours to unlink */
		return ret;
	}
	ret = platform_open(r, e);
	if (ret == 0)
		ret = console_open(r, e);
	if (ret == 0)
		ret = vm_make(r, e);
	if (ret == 0 && cfg->hold)
		ret = server_start(r, e);
	if (ret == 0)
		ret = guest_load(r, e);
	cli_firmware_fini(&r->firmware);
	if (ret == 0 && !cfg->hold)
		ret = server_start(r, e);
	if (ret == 0)
		ret = cfg->incoming ? run_target_start(r, e) : vm_start(r->vm, e);
	return ret;
}

void run_name_release(struct run *r)
{
	if (r->socket[0])
		unlink(r->socket);
	r->socket[0] = '\0';
}

void run_fini(struct run *r)
{
	run_target_end(r);
	run_name_release(r);
	control_server_free(r->server);
	run_target_free(r);
	vm_free(r->vm);
	sev_platform_free(r->platform);
	if (r->console_fd >= 0)
		close(r->console_fd);
	if (r->control_fd >= 0)
		close(r->control_fd);
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->vm_lock);
}
