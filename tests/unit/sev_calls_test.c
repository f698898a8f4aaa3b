/* SPDX-License-Identifier: Apache-2.0 */

/* What the typed calls make of errno and firmware status, over a backend that answers as told. */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sev/es.h"
#include "tests/unit/sev_fixture.h"

static int answer;  /* of every op and issue */
static uint32_t fw; /* the status with it */
static struct kvm_sev_cmd seen;
static uint8_t params_seen[128];

static int told_op(struct sev_vm *vm, struct kvm_sev_cmd *cmd)
{
	(void)vm;
	seen = *cmd;
	if (cmd->data)
		memcpy(params_seen, (const void *)(uintptr_t)cmd->data, 12);
	cmd->error = fw;
	return answer;
}

static int told_issue(struct sev_platform *p, struct sev_issue_cmd *cmd)
{
	(void)p;
	cmd->error = fw;
	return answer;
}

static const struct sev_vm_ops vm_ops = { .op = told_op };
static const struct sev_platform_ops platform_ops = { .issue = told_issue };
static struct sev_platform platform = { .ops = &platform_ops, .name = "told" };
static struct sev_vm vm = { .ops = &vm_ops, .platform = &platform };

static void expect(int code, uint32_t status, const char *message)
{
	struct err e = { 0 };

	answer = code;
	fw = status;
	assert_int_equal(sev_launch_finish(&vm, &e), code);
	assert_int_equal(e.code, code);
	assert_string_equal(e.msg, message);
}

static void a_firmware_status_is_named(void **state)
{
	(void)state;
	expect(-EIO, 0x07, "LAUNCH_FINISH: firmware: POLICY_FAILURE (0x07)");
	expect(-EIO, 0x27, "LAUNCH_FINISH: firmware: INVALID_KEY (0x27)");
	expect(-EIO, 0x1e, "LAUNCH_FINISH: firmware: unknown status (0x1e)");
	expect(-EIO, 0x777, "LAUNCH_FINISH: firmware: unknown status (0x777)");
	expect(-EIO, UINT32_MAX,
	       "LAUNCH_FINISH: firmware: the firmware was never called (0xffffffff)");
}

static void an_errno_comes_with_what_to_do(void **state)
{
	(void)state;
	expect(-EIO, 0, "LAUNCH_FINISH: Input/output error");
	expect(-ENOTTY, 0,
	       "LAUNCH_FINISH: Inappropriate ioctl for device: the VM has no SEV: SEV INIT was not "
	       "done, or KVM runs without SEV (kvm_amd.sev=1, firmware setup)");
	expect(-EINVAL, 0,
	       "LAUNCH_FINISH: Invalid argument: refused by the kernel: it does not know this "
	       "command, or its arguments are out of range");
	expect(-ENOMEM, 0,
	       "LAUNCH_FINISH: Cannot allocate memory: the memory could not be pinned: outside the "
	       "guest's RAM, or over RLIMIT_MEMLOCK (ulimit -l)");
	expect(-EBADF, 0, "LAUNCH_FINISH: Bad file descriptor: /dev/sev was closed");
	expect(-EPERM, 0,
	       "LAUNCH_FINISH: Operation not permitted: /dev/sev must be opened for writing");
}

static void every_call_names_its_command(void **state)
{
	struct sev_peer_certs certs = { 0 };
	struct sev_user_data_status status;
	struct sev_guest_status guest;
	uint8_t b[SEV_VMSA_PACKET_LEN] = { 0 };
	struct err e[19] = { 0 };
	static const char *const names[] = {
		"INIT",
		"LAUNCH_START",
		"LAUNCH_UPDATE_DATA",
		"LAUNCH_MEASURE",
		"LAUNCH_SECRET",
		"LAUNCH_FINISH",
		"GUEST_STATUS",
		"SEND_START",
		"SEND_UPDATE_DATA",
		"SEND_FINISH",
		"SEND_CANCEL",
		"RECEIVE_START",
		"RECEIVE_UPDATE_DATA",
		"RECEIVE_FINISH",
		"PLATFORM_STATUS",
		"PDH_CERT_EXPORT",
		"LAUNCH_UPDATE_VMSA",
		"SEND_UPDATE_VMSA",
		"RECEIVE_UPDATE_VMSA",
	};
	uint32_t policy;

	(void)state;
	answer = -EIO;
	fw = 2;
	assert_int_equal(sev_init(&vm, 0, &e[0]), -EIO);
	assert_int_equal(sev_launch_start(&vm, 0, NULL, 0, NULL, 0, &e[1]), -EIO);
	assert_int_equal(sev_launch_update(&vm, b, 16, &e[2]), -EIO);
	assert_int_equal(sev_launch_measure(&vm, b, &e[3]), -EIO);
	assert_int_equal(sev_launch_secret(&vm, b, b, b, 16, &e[4]), -EIO);
	assert_int_equal(sev_launch_finish(&vm, &e[5]), -EIO);
	assert_int_equal(sev_guest_status(&vm, &guest, &e[6]), -EIO);
	assert_int_equal(sev_send_start(&vm, &certs, b, &policy, &e[7]), -EIO);
	assert_int_equal(sev_send_update(&vm, b, 16, b, b, &e[8]), -EIO);
	assert_int_equal(sev_send_finish(&vm, &e[9]), -EIO);
	assert_int_equal(sev_send_cancel(&vm, &e[10]), -EIO);
	assert_int_equal(sev_receive_start(&vm, 0, b, b, &e[11]), -EIO);
	assert_int_equal(sev_receive_update(&vm, b, 16, b, b, &e[12]), -EIO);
	assert_int_equal(sev_receive_finish(&vm, &e[13]), -EIO);
	assert_int_equal(sev_platform_status(&platform, &status, &e[14]), -EIO);
	assert_int_equal(sev_certs_export(&platform, &certs, &e[15]), -EIO);
	assert_int_equal(sev_launch_update_vmsa(&vm, &e[16]), -EIO);
	assert_int_equal(sev_send_update_vmsa(&vm, 0, b, b, &e[17]), -EIO);
	assert_int_equal(sev_receive_update_vmsa(&vm, 0, b, b, &e[18]), -EIO);
	for (size_t i = 0; i < 19; i++) {
		char want[80];

		snprintf(want, sizeof(want), "%s: firmware: INVALID_GUEST_STATE (0x02)", names[i]);
		assert_string_equal(e[i].msg, want);
	}
}

/* Its parameters are nowhere: a kernel that reads them knows the command. */
static void a_kernel_without_the_vcpu_commands_is_told_by_its_errno(void **state)
{
	struct err e = { 0 };

	(void)state;
	fw = 0;
	answer = -EFAULT;
	assert_int_equal(sev_vmsa_movable(&vm, true, &e), 0);
	assert_int_equal(seen.id, KVM_SEV_SEND_UPDATE_VMSA);
	assert_int_equal(seen.data, 0);
	assert_int_equal(sev_vmsa_movable(&vm, false, &e), 0);
	assert_int_equal(seen.id, KVM_SEV_RECEIVE_UPDATE_VMSA);
	answer = -EINVAL;
	assert_int_equal(sev_vmsa_movable(&vm, true, &e), -EOPNOTSUPP);
	assert_string_equal(e.msg, "this kernel has no KVM_SEV_SEND_UPDATE_VMSA: an SEV-ES guest "
				   "cannot leave this host");
	assert_int_equal(sev_vmsa_movable(&vm, false, &e), -EOPNOTSUPP);
	assert_string_equal(e.msg, "this kernel has no KVM_SEV_RECEIVE_UPDATE_VMSA: an SEV-ES "
				   "guest cannot come to this host");
	answer = -ENOTTY;
	assert_int_equal(sev_vmsa_movable(&vm, true, &e), -ENOTTY);
	answer = 0; /* which no kernel says of parameters it cannot read */
	assert_int_equal(sev_vmsa_movable(&vm, true, &e), -EPROTO);
}

static void a_failing_call_leaves_what_it_was_to_fill(void **state)
{
	struct sev_guest_status guest = { .state = 77 };
	uint8_t session[SEV_SESSION_LEN] = { 77 }, measure[SEV_MEASURE_LEN] = { 77 };
	struct sev_peer_certs certs = { 0 };
	uint32_t policy = 77;
	struct err e = { 0 };

	(void)state;
	answer = -EIO;
	fw = 2;
	assert_int_equal(sev_guest_status(&vm, &guest, &e), -EIO);
	assert_int_equal(sev_send_start(&vm, &certs, session, &policy, &e), -EIO);
	assert_int_equal(sev_launch_measure(&vm, measure, &e), -EIO);
	assert_int_equal(guest.state, 77);
	assert_int_equal(policy, 77);
	assert_int_equal(session[0], 77);
	assert_int_equal(measure[0], 77);
}

static void success_leaves_the_error_alone(void **state)
{
	struct err e = { .msg = "before" };

	(void)state;
	answer = 0;
	fw = 0;
	assert_int_equal(sev_launch_update(&vm, &e, 48, &e), 0);
	assert_string_equal(e.msg, "before");
	assert_int_equal(seen.id, KVM_SEV_LAUNCH_UPDATE_DATA);
	assert_int_equal(params_seen[8], 48);
}

static void lengths_beyond_the_structs_are_refused_here(void **state)
{
	struct sev_peer_certs certs = { .amd_len = SEV_AMD_CHAIN_MAX + 1 };
	uint8_t b[SEV_SESSION_LEN];
	struct err e = { 0 };
	uint32_t policy;

	(void)state;
	answer = 0;
	assert_int_equal(sev_launch_update(&vm, b, 1ull << 32, &e), -EINVAL);
	assert_string_equal(e.msg, "LAUNCH_UPDATE_DATA: 4294967296 bytes at once");
	assert_int_equal(sev_send_start(&vm, &certs, b, &policy, &e), -EINVAL);
	assert_string_equal(e.msg, "SEND_START: AMD chain of 3201 bytes");
}

static void a_host_without_dev_sev_says_what_to_use_instead(void **state)
{
	struct sev_platform *p = NULL;
	struct err e = { 0 };
	struct stat st;

	(void)state;
	if (stat("/dev/sev", &st) == 0)
		skip();
	assert_int_equal(sev_kernel_open(NULL, &p, &e), -ENOENT);
	assert_string_equal(
		e.msg, "/dev/sev: No such file or directory: this host has no SEV, or its "
		       "driver (ccp) is not loaded or found it disabled in the firmware setup; "
		       "use the software platform");
	assert_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_firmware_status_is_named),
		cmocka_unit_test(an_errno_comes_with_what_to_do),
		cmocka_unit_test(every_call_names_its_command),
		cmocka_unit_test(a_kernel_without_the_vcpu_commands_is_told_by_its_errno),
		cmocka_unit_test(a_failing_call_leaves_what_it_was_to_fill),
		cmocka_unit_test(success_leaves_the_error_alone),
		cmocka_unit_test(lengths_beyond_the_structs_are_refused_here),
		cmocka_unit_test(a_host_without_dev_sev_says_what_to_use_instead),
	};

	return cmocka_run_group_tests_name("sev_calls", tests, NULL, NULL);
}
