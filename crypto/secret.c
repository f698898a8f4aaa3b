/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "crypto/ossl.h"

void crypto_wipe(void *p, size_t len)
{
	OPENSSL_cleanse(p, len);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

bool crypto_is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= b[i];
	return any == 0;
}

/*
 * RAND_bytes() asks for the process id each time, a system call, which would cost more than the
 * encryption of a page. So each thread takes a store of bytes from it and hands them out. A child
 * process must not hand out what its parent has: fork moves the epoch, which empties the store.
 */
#define RANDOM_STORE 1024

struct random_store {
	unsigned epoch;
	size_t left;
	uint8_t b[RANDOM_STORE];
};

static _Thread_local struct random_store store;
static atomic_uint fork_epoch;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_child(void)
{
	atomic_fetch_add(&fork_epoch, 1);
}

static void fork_watch(void)
{
	pthread_atfork(NULL, NULL, fork_child);
}

static int random_direct(void *out, size_t len, struct err *e)
{
	uint8_t *p = out;

	while (len > 0) {
		int n = len > (1 << 20) ? 1 << 20 : (int)len;

		if (RAND_bytes(p, n) != 1)
			return ossl_err(e, "random");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int crypto_random(void *out, size_t len, struct err *e)
{
	uint8_t *from;

	if (len > RANDOM_STORE / 4)
		return random_direct(out, len, e);
	pthread_once(&fork_once, fork_watch);
	if (store.left < len || store.epoch != atomic_load(&fork_epoch)) {
		int r;

		store.left = 0;
		store.epoch = atomic_load(&fork_epoch);
		r = random_direct(store.b, sizeof(store.b), e);
		if (r < 0)
			return r;
		store.left = sizeof(store.b);
	}
	store.left -= len;
	from = store.b + store.left;
	memcpy(out, from, len);
	crypto_wipe(from, len);
	return 0;
}

void secret_wipe(struct secret *s)
{
	crypto_wipe(s, sizeof(*s));
}

int secret_random(struct secret *s, size_t len, struct err *e)
{
	if (len > SECRET_MAX)
		return err_set(e, -EINVAL, "a secret of %zu bytes", len);
	s->len = len;
	return crypto_random(s->b, len, e);
}

int secret_file_read(const char *path, size_t len, struct secret *out, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint8_t more[SECRET_MAX + 1];
	ssize_t n = 0;
	size_t got = 0;

	if (fd < 0)
		return err_set(e, -errno, "%s: %m", path);
	if (len > SECRET_MAX)
		return err_set(e, -EINVAL, "%s: a secret of %zu bytes", path, len);
	while (got < sizeof(more) && (n = read(fd, more + got, sizeof(more) - got)) > 0)
		got += (size_t)n;
	if (n == 0 && got == len)
		memcpy(out->b, more, len);
	crypto_wipe(more, sizeof(more));
	if (n < 0)
		return err_set(e, -errno, "%s: %m", path);
	if (got != len)
		return err_set(e, -EINVAL, "%s: not the %zu bytes of a key", path, len);
	out->len = len;
	return 0;
}
