/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A client of /dev/sev and KVM as others write them: system calls, Linux's headers, and nothing of
 * this tree. Its scenarios do what sev-tool, sevctl, virtee/sev and the kernel's selftests do, in
 * their order; one that is not answered as they need it ends the program with code 1. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kvm.h>
#include <linux/psp-sev.h>

#define CERT_LEN 0x824u
#define CHAIN_LEN 0x186cu
#define NO_CALL 0xffffu /* what `error` holds before: stays unless the firmware was asked */

#define want(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #x,  \
				errno);                                                            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* 0 or -errno; the firmware's status into *fw, NO_CALL when it was not touched. */
int sev_issue(int fd, uint32_t cmd, void *data, uint32_t *fw);
int vm_op(int vm, int sev_fd, uint32_t id, void *data, uint32_t *fw);
int vm_region(int vm, int add, void *p, uint64_t size);
int vm_cap(int vm, uint32_t cap, int from);

int sev_open(int flags);
/* A /dev/kvm, kept open. */
int kvm(void);
int vm_new(unsigned long type);
int vcpu_new(int vm, unsigned long id);
void *pages_new(unsigned n);

struct certs {
	uint8_t pdh[CERT_LEN];
	uint8_t chain[CHAIN_LEN]; /* PEK, OCA, CEK */
};
void certs_get(int fd, struct certs *out);
void csr_get(int fd, uint8_t csr[CERT_LEN]);

/* An owner outside the platform: makes a key and its OCA certificate, signs a PEK. */
struct owner;
struct owner *owner_new(uint8_t oca[CERT_LEN]);
void owner_sign(const struct owner *o, uint8_t pek[CERT_LEN]);

typedef void scenario(void);
scenario platform_identity, platform_queries, platform_owner, platform_read_only, platform_errors;
scenario launch_virtee, launch_selftest, launch_es, launch_secret;
scenario mirror_rules, move_chain, move_es, move_mirrors, move_locking, move_rules, init2_rules;
scenario fd_copies, fd_fork, fd_exec, fd_threads, fd_stale, fd_lookups;
scenario cpuid_leaf, cpuid_signals;
/* CPUID is the host's own: where the C-bit is. */
scenario cpuid_host;
