/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "cli/cli.h"
#include "cli/place.h"
#include "cli/scratch.h"
#include "vmm/vm.h"

#define CPUID_SEV_LEAF 0x8000001fu
#define GIB (1ull << 30)

/* One thing looked at. */
struct finding {
	const char *what;
	enum { NO, PARTLY, YES } answer;
	char found[256];
	char advice[256]; /* what to do about a "no"; may be empty */
};

struct doctor_cfg {
	struct cli_common common;
};

static const struct opt doctor_opts[] = { CLI_COMMON_OPTS(struct doctor_cfg), opt_end };

static const struct opt_cmd doctor_cmd = {
	.name = "sevmig doctor",
	.args = "",
	.help = "Find out what this machine can do, and say what to do about what it cannot.",
	.opts = doctor_opts,
};

#define say(to, ...) snprintf(to, sizeof(to), __VA_ARGS__)

static void device_look(struct finding *f)
{
	auto_fd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version = fd < 0 ? -1 : ioctl(fd, KVM_GET_API_VERSION, 0);

	if (version == KVM_API_VERSION) {
		f->answer = YES;
		say(f->found, "/dev/kvm opens, API version %d", version);
		return;
	}
	say(f->found, "/dev/kvm: %m");
	if (fd < 0 && errno == EACCES)
		say(f->advice, "join the group that owns it (ls -l /dev/kvm), or run as root");
	else
		say(f->advice, "load kvm-amd or kvm-intel, and switch virtualization on in the "
			       "firmware or, in a virtual machine, in its host; else use the lab");
}

static void probe_look(struct finding *f)
{
	char why[160] = "";

	switch (vm_probe_kvm(why, sizeof(why))) {
	case VM_PROBE_LINUX:
		f->answer = YES;
		say(f->found, "a probe guest ran: Linux guests run here");
		break;
	case VM_PROBE_SMALL:
		f->answer = PARTLY;
		say(f->found, "small guests only: %s", why);
		say(f->advice, "use the lab for Linux guests, or a machine with KVM of its own");
		break;
	case VM_PROBE_NONE:
		say(f->found, "no guest runs: %s", why);
		say(f->advice, "use the lab, which needs no /dev/kvm");
		break;
	}
}

static void memlock_look(struct finding *f)
{
	struct rlimit r = { 0 };

	getrlimit(RLIMIT_MEMLOCK, &r);
	f->answer = r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= GIB ? YES : PARTLY;
	if (r.rlim_cur == RLIM_INFINITY) {
		say(f->found, "no limit on locked memory");
		return;
	}
	say(f->found, "%llu KiB of memory may be locked", (unsigned long long)r.rlim_cur >> 10);
	if (f->answer != YES)
		say(f->advice, "only SEV hardware locks guest memory: for guests there raise "
			       "ulimit -l to their size");
}

static void cpu_look(struct finding *f)
{
	unsigned eax = 0, ebx = 0, ecx, edx;

	if ((unsigned)__get_cpuid_max(0x80000000u, NULL) >= CPUID_SEV_LEAF)
		__cpuid_count(CPUID_SEV_LEAF, 0, eax, ebx, ecx, edx);
	if (!(eax & 2)) {
		say(f->found, "this processor, as this machine sees it, has no SEV");
		say(f->advice, "for real SEV: an EPYC 7001 or later; else use a software platform");
		return;
	}
	f->answer = YES;
	say(f->found, "CPUID 0x8000001f: SEV%s%s, C-bit %u", eax & 8 ? ", SEV-ES" : "",
	    eax & 16 ? ", SEV-SNP" : "", ebx & 63);
}

/* A module's parameter: its first character, or 0. */
static char parameter_read(const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = 0;

	return fd >= 0 && read(fd, &c, 1) == 1 ? c : 0;
}

static void module_look(struct finding *f)
{
	char sev = parameter_read("/sys/module/kvm_amd/parameters/sev");
	char es = parameter_read("/sys/module/kvm_amd/parameters/sev_es");

	f->answer = sev == 'Y' || sev == '1' ? YES : NO;
	if (!sev) {
		say(f->found, "kvm_amd is not loaded");
		say(f->advice, "on an EPYC host: modprobe kvm_amd sev=1; elsewhere use a software "
			       "platform");
		return;
	}
	say(f->found, "kvm_amd: sev=%c sev_es=%c", sev, es ? es : '-');
	if (f->answer == NO)
		say(f->advice, "switch SME/SEV on in the firmware, then kvm_amd.sev=1");
}

static void sev_device_look(struct finding *f)
{
	auto_of(sev_platform) struct sev_platform *p = NULL;
	struct sev_user_data_status st = { 0 };
	struct err e = { 0 };
	int r = sev_kernel_open(NULL, &p, &e);

	if (r == 0)
		r = sev_platform_status(p, &st, &e);
	if (r == 0) {
		f->answer = YES;
		say(f->found, "/dev/sev answers, API %u.%u.%u", st.api_major, st.api_minor,
		    st.build);
		return;
	}
	say(f->found, "%.200s", e.msg);
	say(f->advice, "load the ccp module and allow access to /dev/sev; else use a software "
		       "platform");
}

/* Make a platform, open it, ask it for its certificates. */
static void soft_look(struct finding *f)
{
	auto_of(sev_platform) struct sev_platform *p = NULL;
	struct sev_soft_init opt = { 0 };
	auto_mem char *dir = NULL;
	char id[CLI_PLATFORM_ID_LEN];
	struct scratch s;
	struct err e = { 0 };
	int r = scratch_make(&s, &e);

	if (r == 0 && asprintf(&dir, "%s/platform", s.path) < 0)
		r = err_set(&e, -ENOMEM, "no memory");
	if (r == 0)
		r = sev_soft_init(dir, &opt, &e);
	if (r == 0)
		r = sev_soft_open(dir, &p, &e);
	if (r == 0)
		r = cli_platform_id(p, id, &e);
	f->answer = r == 0 ? YES : NO;
	if (r == 0)
		say(f->found, "a software platform was made and answered");
	else
		say(f->found, "%.200s", e.msg);
	if (r < 0)
		say(f->advice, "this should work everywhere: is there room in $TMPDIR or /tmp?");
	sev_platform_free(steal_ptr(&p));
	scratch_remove(&s);
}

static void lab_look(struct finding *f)
{
	struct err e = { 0 };

	f->answer = place_lab_ready(&e) == 0 ? YES : NO;
	if (f->answer == YES) {
		say(f->found, "QEMU, its hosts' kernel and tools are there or can be fetched");
		return;
	}
	say(f->found, "%.200s", e.msg);
	say(f->advice, "in a checkout of the sources: tools/deps lab");
}

static const struct {
	const char *what;
	void (*look)(struct finding *f);
} looks[] = {
	{ "KVM device", device_look },      { "KVM guests", probe_look },
	{ "locked memory", memlock_look },  { "SEV processor", cpu_look },
	{ "SEV in KVM", module_look },      { "Secure Processor", sev_device_look },
	{ "software platform", soft_look }, { "lab", lab_look },
};
#define LOOKS (sizeof(looks) / sizeof(looks[0]))

static const char *const answers[] = { [NO] = "no", [PARTLY] = "partly", [YES] = "yes" };

static json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "what", f->what, "answer", answers[f->answer],
			 "found", f->found, "advice", f->advice);
}

static void finding_print(const struct finding *f)
{
	printf("%-18s %-7s %s\n", f->what, answers[f->answer], f->found);
	if (f->advice[0])
		printf("%-18s %-7s -> %s\n", "", "", f->advice);
}

int cli_doctor_main(int argc, char **argv)
{
	json_t *all = json_array();
	struct doctor_cfg cfg = { 0 };
	struct opt_args args;
	bool soft = false;
	int code;

	if (!cli_parse(&doctor_cmd, &cfg, argc, argv, &args, &code)) {
		json_decref(all);
		return code;
	}
	for (unsigned i = 0; i < LOOKS; i++) {
		struct finding f = { .what = looks[i].what };

		looks[i].look(&f);
		soft |= looks[i].look == soft_look && f.answer == YES;
		if (!cfg.common.json)
			finding_print(&f);
		json_array_append_new(all, finding_json(&f));
	}
	if (cfg.common.json)
		cli_json_print(json_pack("{s:O, s:s}", "findings", all, "demo",
					 place_name(place_choose())));
	else
		printf("\nsevmig demo would run in: %s\n", place_name(place_choose()));
	json_decref(all);
	return soft ? CLI_OK : CLI_FAILED;
}
