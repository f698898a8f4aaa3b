/* SPDX-License-Identifier: Apache-2.0 */

/* The serial port's other end: output goes to a descriptor as it comes, input is read by a thread
 * that waits while the port's queue is full. */

#include "vmm/devices.h"
#include "vmm/impl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CONSOLE_WAIT_MS 1000u
#define CONSOLE_STEP_MS 20u

static void console_irq(void *ctx, bool level)
{
	vmm_irq_line(ctx, SERIAL_IRQ, level);
}

/* Can c->out take bytes now? A slow reader is waited for; one that has not read for a second is
 * taken for gone until it reads again. */
static bool console_ready(struct vmm_console *c)
{
	struct pollfd p = { .fd = c->out, .events = POLLOUT };
	unsigned left_ms = c->stalled ? 0 : CONSOLE_WAIT_MS;
	int n;

	/* Kicks interrupt the wait, each costs a step of it. */
	do {
		unsigned step = left_ms < CONSOLE_STEP_MS ? left_ms : CONSOLE_STEP_MS;

		n = poll(&p, 1, (int)step);
		left_ms -= step;
	} while (n <= 0 && left_ms);
	c->stalled = n <= 0;
	return n > 0;
}

/* A console nobody reads must not stop the guest: what cannot be written is lost. No more than
 * PIPE_BUF at a time, which is what POLLOUT promises to take. */
static void console_output(void *ctx, const uint8_t *p, size_t len)
{
	struct vm *vm = ctx;
	struct vmm_console *c = &vm->console;

	pthread_mutex_lock(&c->lock);
	while (len && c->out >= 0 && console_ready(c)) {
		ssize_t n = write(c->out, p, len < 512 ? len : 512);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			break;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	pthread_mutex_unlock(&c->lock);
}

static void console_wake(struct vm *vm)
{
	uint64_t one = 1;

	if (vm->console.wake >= 0)
		(void)!write(vm->console.wake, &one, sizeof(one));
}

static void console_room(void *ctx)
{
	console_wake(ctx);
}

const struct dev_console_ops vmm_console_ops = {
	.output = console_output,
	.room = console_room,
};

static const struct serial_ops console_ops = {
	.irq = console_irq,
	.output = console_output,
	.room = console_room,
};

/* Wait for input, or only to be woken. false: an end of input. */
static bool console_wait(struct vmm_console *c, bool input)
{
	struct pollfd p[2] = { { .fd = c->wake, .events = POLLIN },
			       { .fd = input ? c->in : -1, .events = POLLIN } };
	uint64_t n;

	if (poll(p, 2, -1) < 0)
		return errno == EINTR;
	if (p[0].revents)
		(void)!read(c->wake, &n, sizeof(n));
	return !(p[1].revents & (POLLERR | POLLNVAL));
}

size_t vmm_console_input(struct vm *vm, const uint8_t *p, size_t len)
{
	if (vm->virtio_console)
		return dev_console_input(vm->virtio_console, p, len);
	return vmm_serial_input(vm->serial, p, len);
}

static void *console_main(void *arg)
{
	struct vm *vm = arg;
	struct vmm_console *c = &vm->console;
	uint8_t b[256];
	size_t len = 0;

	while (!atomic_load(&c->quit) && console_wait(c, !len)) {
		struct pollfd in = { .fd = c->in, .events = POLLIN };
		size_t took;

		if (!len && poll(&in, 1, 0) > 0) {
			ssize_t n = read(c->in, b, sizeof(b));

			if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
				break;
			len = n > 0 ? (size_t)n : 0;
		}
		took = vmm_console_input(vm, b, len);
		memmove(b, b + took, len - took);
		len -= took;
	}
	return NULL;
}

int vmm_console_open(struct vm *vm, struct err *e)
{
	struct vmm_console *c = &vm->console;
	int r;

	c->in = vm->cfg.console_in;
	c->out = vm->cfg.console_out;
	pthread_mutex_init(&c->lock, NULL);
	r = vmm_serial_new(&console_ops, vm, &vm->serial, e);
	if (r < 0 || c->in < 0)
		return r;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake < 0)
		return err_set(e, -errno, "eventfd: %m");
	r = pthread_create(&c->thread, NULL, console_main, vm);
	if (r)
		return err_set(e, -r, "console thread: %s", strerrordesc_np(r));
	c->has_thread = true;
	return 0;
}

void vmm_console_close(struct vm *vm)
{
	struct vmm_console *c = &vm->console;

	if (c->has_thread) {
		atomic_store(&c->quit, true);
		console_wake(vm);
		pthread_join(c->thread, NULL);
	}
	if (c->wake >= 0)
		close(c->wake);
	c->has_thread = false;
	c->wake = -1;
}

int vm_console_write(struct vm *vm, const void *p, size_t len, struct err *e)
{
	size_t took = vmm_console_input(vm, p, len);

	if (took < len)
		return err_set(e, -EAGAIN, "console input: %zu of %zu bytes fit", took, len);
	return 0;
}
