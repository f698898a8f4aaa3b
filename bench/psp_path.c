/* SPDX-License-Identifier: Apache-2.0 */

/*
 * SEND_UPDATE_DATA and RECEIVE_UPDATE_DATA by themselves: two software platforms in one process and
 * one thread, no stream, no channel. Each batch is sealed by plain OpenSSL (bench/seal.h), sent and
 * received, one after another, so that a noisy moment hits all three; each is charged its CPU time.
 * Prints one JSON object.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/rand.h>

#include "bench/seal.h"
#include "sev/sev.h"

#define BATCH 256u
#define POLICY 1u /* NODBG */

struct side {
	struct sev_platform *platform;
	struct sev_vm *vm;
	uint8_t *shared;
};

struct run {
	struct side src, dst;
	struct seal *limit;
	uint8_t *plain; /* what limit seals: as many bytes */
	size_t len;
	uint8_t hdr[BATCH][SEV_PACKET_HDR_LEN];
	uint8_t *packets;
	double cpu[3]; /* limit, send, receive */
};

static uint8_t *memory_new(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int random_fill(uint8_t *p, size_t len, struct err *e)
{
	for (size_t at = 0; at < len; at += 1u << 20)
		if (RAND_bytes(p + at, 1 << 20) != 1)
			return err_set(e, -EIO, "no random bytes");
	return 0;
}

static int side_open(struct side *s, const char *dir, const char *ca, size_t len, struct err *e)
{
	const struct sev_soft_init opt = { .root_bits = 2048, .ca_dir = ca };
	struct sev_slot slots[SEV_SLOTS_PER_RAM];
	struct sev_ram ram = { .at = gpa(1ull << 32), .size = len };
	size_t n = 0;
	int r = sev_soft_init(dir, &opt, e);

	if (r == 0)
		r = sev_soft_open(dir, &s->platform, e);
	if (r == 0)
		r = sev_vm_new(s->platform, -1, -1, &s->vm, e);
	s->shared = memory_new(len);
	if (r == 0 && !s->shared)
		r = err_set(e, -ENOMEM, "no memory");
	ram.shared = s->shared;
	if (r == 0)
		r = sev_vm_ram_add(s->vm, &ram, slots, &n, e);
	return r < 0 ? r : sev_init(s->vm, 0, e);
}

/* A guest whose private memory is random bytes. */
static int launch(struct side *s, size_t len, struct err *e)
{
	uint8_t measure[SEV_MEASURE_LEN];
	int r = random_fill(s->shared, len, e);

	if (r == 0)
		r = sev_launch_start(s->vm, POLICY, NULL, 0, NULL, 0, e);
	for (size_t at = 0; r == 0 && at < len; at += 1u << 20)
		r = sev_launch_update(s->vm, s->shared + at, 1u << 20, e);
	if (r == 0)
		r = sev_launch_measure(s->vm, measure, e);
	return r < 0 ? r : sev_launch_finish(s->vm, e);
}

static int session(struct run *b, struct err *e)
{
	struct sev_peer_certs from, to;
	uint8_t blob[SEV_SESSION_LEN];
	uint32_t policy;
	int r = sev_certs_export(b->src.platform, &from, e);

	if (r == 0)
		r = sev_certs_export(b->dst.platform, &to, e);
	if (r == 0)
		r = sev_send_start(b->src.vm, &to, blob, &policy, e);
	if (r == 0)
		r = sev_receive_start(b->dst.vm, policy, from.pdh, blob, e);
	return r < 0 ? r : sev_vm_prefault(b->dst.vm, gpa(1ull << 32), b->len, true, e);
}

typedef int step(struct run *b, size_t at, unsigned i, struct err *e);

static int limit_page(struct run *b, size_t at, unsigned i, struct err *e)
{
	return seal_page(b->limit, b->plain + at, b->packets + (size_t)i * PAGE_LEN)
		       ? 0
		       : err_set(e, -EIO, "OpenSSL failed");
}

static int send_page(struct run *b, size_t at, unsigned i, struct err *e)
{
	return sev_send_update(b->src.vm, b->src.shared + at, PAGE_LEN, b->hdr[i],
			       b->packets + (size_t)i * PAGE_LEN, e);
}

static int receive_page(struct run *b, size_t at, unsigned i, struct err *e)
{
	return sev_receive_update(b->dst.vm, b->dst.shared + at, PAGE_LEN, b->hdr[i],
				  b->packets + (size_t)i * PAGE_LEN, e);
}

static int batch(struct run *b, size_t at, struct err *e)
{
	static step *const steps[] = { limit_page, send_page, receive_page };
	int r = 0;

	for (unsigned k = 0; k < 3; k++) {
		double begin = seal_clock(CLOCK_THREAD_CPUTIME_ID);

		for (unsigned i = 0; r == 0 && i < BATCH; i++)
			r = steps[k](b, at + (size_t)i * PAGE_LEN, i, e);
		b->cpu[k] += seal_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
	}
	return r;
}

static int run(struct run *b, const char *dir, struct err *e)
{
	char src[128], dst[128];
	int r;

	snprintf(src, sizeof(src), "%s/a", dir);
	snprintf(dst, sizeof(dst), "%s/b", dir);
	b->limit = seal_new();
	b->plain = memory_new(b->len);
	b->packets = aligned_alloc(PAGE_LEN, BATCH * PAGE_LEN);
	if (!b->limit || !b->plain || !b->packets)
		return err_set(e, -ENOMEM, "no memory");
	if ((r = random_fill(b->plain, b->len, e)) < 0 ||
	    (r = side_open(&b->src, src, NULL, b->len, e)) < 0 ||
	    (r = side_open(&b->dst, dst, src, b->len, e)) < 0 ||
	    (r = launch(&b->src, b->len, e)) < 0 || (r = session(b, e)) < 0)
		return r;
	for (size_t at = 0; r == 0 && at < b->len; at += (size_t)BATCH * PAGE_LEN)
		r = batch(b, at, e);
	return r;
}

/* The rest goes with the process. */
static void run_fini(struct run *b)
{
	sev_vm_free(b->src.vm);
	sev_vm_free(b->dst.vm);
	sev_platform_free(b->src.platform);
	sev_platform_free(b->dst.platform);
	seal_free(b->limit);
	free(b->packets);
}

int main(int argc, char **argv)
{
	struct run b = { .len = (argc > 2 ? strtoull(argv[2], NULL, 0) : 256) << 20 };
	struct err e;
	int r;

	if (argc < 2 || !b.len) {
		fprintf(stderr, "Usage: psp_path EMPTY-DIRECTORY [MIB]\n");
		return 2;
	}
	r = run(&b, argv[1], &e);
	run_fini(&b);
	if (r < 0) {
		fprintf(stderr, "psp_path: %s\n", e.msg);
		return 1;
	}
	printf("{\"bytes\": %zu, \"limit-cpu\": %.6f, \"send-cpu\": %.6f, \"receive-cpu\": %.6f}\n",
	       b.len, b.cpu[0], b.cpu[1], b.cpu[2]);
	return 0;
}
