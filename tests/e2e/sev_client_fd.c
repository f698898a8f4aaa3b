/* SPDX-License-Identifier: Apache-2.0 */

/* Descriptors, processes, threads, signals: what a client does around its SEV calls. */

#include "tests/e2e/sev_client.h"

#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern char **environ;

static uint32_t fw;

static int status_ok(int fd)
{
	struct sev_user_data_status st;

	return sev_issue(fd, SEV_PLATFORM_STATUS, &st, &fw) == 0;
}

/* How many guests the platform has. */
static uint32_t guests(int fd)
{
	struct sev_user_data_status st = { 0 };

	want(sev_issue(fd, SEV_PLATFORM_STATUS, &st, &fw) == 0);
	return st.guest_count;
}

static int guest_new(int sev)
{
	struct kvm_sev_launch_start start = { 0 };
	int vm = vm_new(0);

	want(vm_op(vm, sev, KVM_SEV_INIT, NULL, &fw) == 0);
	want(vm_op(vm, sev, KVM_SEV_LAUNCH_START, &start, &fw) == 0);
	return vm;
}

static int guest_ok(int vm, int sev)
{
	struct kvm_sev_guest_status st;

	return vm_op(vm, sev, KVM_SEV_GUEST_STATUS, &st, &fw) == 0;
}

static int child_code(pid_t pid)
{
	int status;

	want(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A guest lives as long as one descriptor of its VM or of a vCPU of it. */
void fd_copies(void)
{
	int sev = sev_open(O_RDWR), vm = guest_new(sev), copy[4], vcpu;
	uint32_t before = guests(sev);

	copy[0] = dup(vm);
	copy[1] = dup2(vm, 200);
	copy[2] = dup3(vm, 201, O_CLOEXEC);
	copy[3] = fcntl(vm, F_DUPFD_CLOEXEC, 100);
	close(vm);
	for (int i = 0; i < 4; i++)
		want(guest_ok(copy[i], sev));
	vcpu = vcpu_new(copy[3], 0);
	for (int i = 0; i < 4; i++)
		close(copy[i]);
	want(guests(sev) == before);
	want(vm_op(copy[0], sev, KVM_SEV_GUEST_STATUS, NULL, &fw) == -EBADF);
	close(vcpu);
	want(guests(sev) == before - 1);

	/* Closed by being replaced, and with a range of others. */
	vm = guest_new(sev);
	want(dup2(sev, vm) == vm && status_ok(vm) && guests(sev) == before - 1);
	close(vm);
	vm = guest_new(sev);
	want(dup2(vm, 300) == 300 && close_range(300, 310, 0) == 0);
	want(guests(sev) == before);
	close(vm);
	want(guests(sev) == before - 1);

	/* LAUNCH_START remembers the number of /dev/sev, as KVM does. */
	vm = guest_new(sev);
	copy[0] = dup(sev);
	close(sev);
	want(vm_op(vm, copy[0], KVM_SEV_GUEST_STATUS, &before, &fw) == -EBADF);
	want(dup2(copy[0], sev) == sev && guest_ok(vm, sev));
	close(copy[0]);
	close(vm);
	close(sev);
}

/* A child has /dev/sev, but its parent's VMs answer it nothing, and it cannot harm them. */
void fd_fork(void)
{
	int sev = sev_open(O_RDWR), vm = guest_new(sev);
	uint32_t before = guests(sev);
	pid_t pid = fork();

	if (pid == 0) {
		struct kvm_sev_guest_status st;
		int own;

		want(status_ok(sev));
		want(vm_op(vm, sev, KVM_SEV_GUEST_STATUS, &st, &fw) == -EIO);
		close(vm);
		own = guest_new(sev);
		want(guest_ok(own, sev));
		_exit(0);
	}
	want(child_code(pid) == 0);
	want(guest_ok(vm, sev) && guests(sev) == before);

	/* A child of vfork() shares memory, but closes its own descriptors only. */
	pid = vfork();
	if (pid == 0) {
		close(vm);
		_exit(0);
	}
	want(child_code(pid) == 0 && guest_ok(vm, sev));
	close(vm);
	close(sev);
}

/* Over exec and a socket a /dev/sev stays one; with O_CLOEXEC it is gone. */
void fd_exec(void)
{
	int open_fd = sev_open(O_RDONLY), closed = sev_open(O_RDONLY | O_CLOEXEC), pair[2], got;
	char number[2][12], room[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = room,
			      .msg_controllen = sizeof(room) };
	char self[] = "/proc/self/exe", word[] = "fd";
	struct cmsghdr *c;
	pid_t pid;

	snprintf(number[0], sizeof(number[0]), "%d", open_fd);
	snprintf(number[1], sizeof(number[1]), "%d", closed);
	for (int i = 0; i < 2; i++) {
		char *argv[] = { self, word, number[i], NULL };

		want(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0);
		want(child_code(pid) == i);
	}
	want(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(c), &open_fd, sizeof(int));
	want(sendmsg(pair[0], &msg, 0) == 1 && recvmsg(pair[1], &msg, 0) == 1);
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	want(got != open_fd && status_ok(got));
}

static void *hammer(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		int sev = sev_open(O_RDWR), vm = guest_new(sev), copy = dup(vm);
		uint8_t *page = pages_new(1);
		struct kvm_sev_launch_update_data update = { .uaddr = (uintptr_t)page,
							     .len = 4096 };

		close(vm);
		want(vm_op(copy, sev, KVM_SEV_LAUNCH_UPDATE_DATA, &update, &fw) == 0);
		want(status_ok(sev));
		close(copy);
		close(sev);
	}
	return NULL;
}

/* Threads that launch, and one that forks meanwhile: nothing is lost and nothing hangs. */
void fd_threads(void)
{
	int sev = sev_open(O_RDWR);
	uint32_t before = guests(sev);
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		want(pthread_create(&t[i], NULL, hammer, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(status_ok(sev) ? 0 : 1);
		want(child_code(pid) == 0);
	}
	for (int i = 0; i < 4; i++)
		want(pthread_join(t[i], NULL) == 0);
	want(guests(sev) == before);
	close(sev);
}

/* A descriptor closed without the C library's knowledge comes back as another thing. */
void fd_stale(void)
{
	int sev = sev_open(O_RDWR), vm = guest_new(sev), other, again;

	want(syscall(SYS_close, vm) == 0);
	other = open("/dev/null", O_RDWR);
	want(other == vm);
	want(vm_op(other, sev, KVM_SEV_GUEST_STATUS, NULL, &fw) == -ENOTTY);
	want(syscall(SYS_close, other) == 0);
	again = guest_new(sev);
	want(again == vm && guest_ok(again, sev));
	close(again);
	close(sev);
}

/* Programs look before they open. */
void fd_lookups(void)
{
	struct stat st;

	want(access("/dev/sev", R_OK | W_OK) == 0);
	want(faccessat(AT_FDCWD, "/dev/sev", F_OK, 0) == 0);
	want(stat("/dev/sev", &st) == 0 && S_ISCHR(st.st_mode));
	want(lstat("/dev/sev", &st) == 0 && S_ISCHR(st.st_mode));
	want(fstatat(AT_FDCWD, "/dev/sev", &st, 0) == 0 && S_ISCHR(st.st_mode));
	want(open("/dev/sev", O_RDONLY | O_DIRECTORY) < 0 && errno == ENOTDIR);
}

/* --- CPUID ----------------------------------------------------------------------------------- */

static int made_to_fault; /* this processor has to be helped to fault at CPUID */

/* At the breakpoint before the instruction: the fault becomes pending, and comes when this returns
 * to the instruction. Blocked by the bare system call; the mask from before comes back then, too.
 */
static void on_breakpoint(int sig, siginfo_t *info, void *context)
{
	siginfo_t fault = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };
	uint64_t segv = 1ull << (SIGSEGV - 1);

	(void)sig;
	(void)info;
	(void)context;
	want(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &segv, NULL, sizeof(segv)) == 0);
	want(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV, &fault) == 0);
}

static void cpuid_get(unsigned leaf, unsigned r[4])
{
	if (made_to_fault)
		__asm__ volatile("int3\n\tcpuid"
				 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
				 : "a"(leaf), "c"(0)
				 : "memory");
	else
		__cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
}

/* "made" in the environment's CPUID_FAULT: as a kernel says it whose processor can do it. */
static void faults_start(void)
{
	struct sigaction act = { .sa_sigaction = on_breakpoint, .sa_flags = SA_SIGINFO };
	const char *how = getenv("CPUID_FAULT");

	made_to_fault = how && strcmp(how, "made") == 0;
	want(!made_to_fault || sigaction(SIGTRAP, &act, NULL) == 0);
}

static unsigned cbit_get(void)
{
	unsigned r[4];

	cpuid_get(0x80000000u, r);
	if (r[0] < 0x8000001fu)
		return 0;
	cpuid_get(0x8000001fu, r);
	return (r[0] & 0xa) == 0xa && r[2] >= r[3] && r[3] > 1 ? r[1] & 63 : 0;
}

static void *cbit_thread(void *arg)
{
	*(unsigned *)arg = cbit_get();
	return NULL;
}

void cpuid_leaf(void)
{
	const char *expected = getenv("CBIT");
	unsigned cbit, in_thread = 0;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} *kvm_says = calloc(1, sizeof(*kvm_says));
	uint32_t room;
	pthread_t t;

	faults_start();
	cbit = cbit_get();
	want(kvm_says && expected && cbit == (unsigned)atoi(expected));
	want(pthread_create(&t, NULL, cbit_thread, &in_thread) == 0 && pthread_join(t, NULL) == 0);
	want(in_thread == cbit);

	kvm_says->head.nent = 256;
	want(ioctl(kvm(), KVM_GET_SUPPORTED_CPUID, kvm_says) == 0);
	room = kvm_says->head.nent;
	for (uint32_t i = 0; i < room; i++) {
		if (kvm_says->entries[i].function == 0x8000001fu)
			cbit -= kvm_says->entries[i].ebx; /* nothing but the position */
	}
	want(cbit == 0);
	/* No room for the leaf that is added. */
	kvm_says->head.nent = room - 1;
	want(ioctl(kvm(), KVM_GET_SUPPORTED_CPUID, kvm_says) < 0 && errno == E2BIG);
	kvm_says->head.nent = room;
	want(ioctl(kvm(), KVM_GET_SUPPORTED_CPUID, kvm_says) == 0);
	free(kvm_says);
}

void cpuid_host(void)
{
	unsigned eax, ebx, ecx, edx;

	__cpuid_count(0x8000001fu, 0, eax, ebx, ecx, edx);
	printf("%u\n", ebx & 63);
}

static volatile sig_atomic_t faults, sent;
static char guarded[4096] __attribute__((aligned(4096)));

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	if (info->si_code <= 0) {
		sent++;
		return;
	}
	want(info->si_addr == guarded && cbit_get());
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = (greg_t)&faults;
	faults++;
}

/* Reads through RAX, which the handler corrects. */
static void touch(void)
{
	void *p = guarded;

	__asm__ volatile("movb (%%rax), %%cl" : "+a"(p) : : "rcx", "memory");
}

/* The program's own use of SIGSEGV goes on, and so does its blocking all signals. */
void cpuid_signals(void)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;
	sigset_t all, now;

	faults_start();
	want(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	sigfillset(&act.sa_mask);
	sigdelset(&act.sa_mask, SIGTRAP); /* cpuid_get() may need it */
	want(sigaction(SIGSEGV, &act, &old) == 0 && old.sa_handler == SIG_DFL);
	want(sigaction(SIGSEGV, NULL, &old) == 0 && old.sa_sigaction == on_fault);
	sigfillset(&all);
	sigdelset(&all, SIGTRAP);
	want(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0 && cbit_get());
	want(pthread_sigmask(SIG_SETMASK, &all, &now) == 0 && cbit_get());
	want(sigismember(&now, SIGTERM) == 1);
	want(pthread_sigmask(SIG_UNBLOCK, &all, NULL) == 0);
	want(mprotect(guarded, sizeof(guarded), PROT_NONE) == 0);
	touch();
	want(faults == 1 && cbit_get());
	want(raise(SIGSEGV) == 0 && sent == 1);
	want(signal(SIGSEGV, SIG_IGN) != SIG_ERR && raise(SIGSEGV) == 0 && cbit_get());

	want(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	for (int i = 0; i < 2; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			i ? touch() : (void)raise(SIGSEGV);
			_exit(0);
		}
		want(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
		want(WTERMSIG(status) == SIGSEGV);
	}
}
