/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ports.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/doorbell.h"
#include "abi/pci.h"
#include "base/rdwr.h"

#define PORTS_STATE_VERSION 1u
#define PORTS_KBD_DATA 0x60u
#define PORTS_KBD_STATUS 0x64u
#define PORTS_KBD_RESET 0xfeu
#define PORTS_SPEAKER 0x61u
#define PORTS_SPEAKER_KEPT 0x03u
#define PORTS_SPEAKER_OUT 0x20u /* output of timer channel 2: as if it had counted down */
#define PORTS_RTC_INDEX 0x70u
#define PORTS_RTC_DATA 0x71u
#define PORTS_RTC_INDEX_KEPT 0x7fu
#define PORTS_POST 0x80u
#define PORTS_FAST 0x92u
#define PORTS_FAST_RESET 0x01u
#define PORTS_FAST_A20 0x02u
#define PORTS_RESET 0xcf9u
#define PORTS_RESET_CPU 0x04u /* the bit whose rise resets, bit 1 chooses how much */

struct ports {
	const struct ports_ops *ops;
	void *ctx;
	struct serial *serial;
	pthread_mutex_t lock; /* a leaf; guards the latches */
	uint32_t pci_address;
	uint8_t rtc_index, speaker;
};

/* One item of a port access. For a read, v is all ones and the handler may change it. */
struct ports_access {
	struct ports *p;
	void *vcpu;
	uint16_t port;
	uint8_t size;
	bool in;
	uint32_t v;
};

typedef void ports_fn(struct ports_access *a);

/* Keyboard controller without a keyboard: no data, ready for a command. */
static void ports_kbd(struct ports_access *a)
{
	if (a->in)
		a->v = 0;
	else if (a->port == PORTS_KBD_STATUS && (a->v & 0xff) == PORTS_KBD_RESET)
		a->p->ops->reset(a->p->ctx, a->vcpu, "keyboard controller");
}

static void ports_speaker(struct ports_access *a)
{
	pthread_mutex_lock(&a->p->lock);
	if (a->in)
		a->v = a->p->speaker | PORTS_SPEAKER_OUT;
	else
		a->p->speaker = a->v & PORTS_SPEAKER_KEPT;
	pthread_mutex_unlock(&a->p->lock);
}

static uint8_t rtc_bcd(int v)
{
	return (uint8_t)(v / 10 % 10 << 4 | v % 10);
}

/* MC146818 in BCD, 24 hours, never updating while read. */
static uint8_t rtc_read(uint8_t index, int64_t now)
{
	time_t t = (time_t)now;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	switch (index) {
	case 0x00:
		return rtc_bcd(tm.tm_sec);
	case 0x02:
		return rtc_bcd(tm.tm_min);
	case 0x04:
		return rtc_bcd(tm.tm_hour);
	case 0x06:
		return rtc_bcd(tm.tm_wday + 1);
	case 0x07:
		return rtc_bcd(tm.tm_mday);
	case 0x08:
		return rtc_bcd(tm.tm_mon + 1);
	case 0x09:
		return rtc_bcd(tm.tm_year % 100);
	case 0x32:
		return rtc_bcd((tm.tm_year + 1900) / 100);
	case 0x0a:
		return 0x26; /* 32768 Hz, no update in progress */
	case 0x0b:
		return 0x02; /* 24 hours, BCD, no interrupts */
	case 0x0d:
		return 0x80; /* the battery is good */
	default:
		return 0;
	}
}

static void ports_rtc(struct ports_access *a)
{
	uint8_t index;

	pthread_mutex_lock(&a->p->lock);
	if (!a->in && a->port == PORTS_RTC_INDEX)
		a->p->rtc_index = a->v & PORTS_RTC_INDEX_KEPT;
	index = a->p->rtc_index;
	pthread_mutex_unlock(&a->p->lock);
	if (a->in && a->port == PORTS_RTC_DATA)
		a->v = rtc_read(index, a->p->ops->now(a->p->ctx));
}

static void ports_none(struct ports_access *a)
{
	(void)a;
}

static void ports_fast(struct ports_access *a)
{
	if (a->in)
		a->v = PORTS_FAST_A20;
	else if (a->v & PORTS_FAST_RESET)
		a->p->ops->reset(a->p->ctx, a->vcpu, "port 0x92");
}

static void ports_doorbell(struct ports_access *a)
{
	if (a->in && a->size == 4)
		a->v = a->p->ops->doorbell(a->p->ctx, a->vcpu);
}

static void ports_serial(struct ports_access *a)
{
	unsigned reg = a->port - SERIAL_PORT;

	if (a->in)
		a->v = vmm_serial_read(a->p->serial, reg);
	else
		vmm_serial_write(a->p->serial, reg, (uint8_t)a->v);
}

static void ports_poweroff(struct ports_access *a)
{
	if (!a->in && a->size == 2 && a->v == PORTS_POWEROFF_VALUE)
		a->p->ops->poweroff(a->p->ctx, a->vcpu, "power-off port");
}

static void ports_sleep(struct ports_access *a)
{
	if (a->in)
		a->v = 0;
	else if (a->port == PORTS_SLEEP && a->size == 1 && (a->v & 0xff) == PORTS_SLEEP_S5)
		a->p->ops->poweroff(a->p->ctx, a->vcpu, "ACPI sleep state 5");
}

static void pci_data(struct ports_access *a)
{
	uint32_t address;

	pthread_mutex_lock(&a->p->lock);
	address = a->p->pci_address;
	pthread_mutex_unlock(&a->p->lock);
	a->p->ops->pci(a->p->ctx, address, a->port - PCI_CONFIG_DATA, a->size, !a->in, &a->v);
}

/* The address latch can be read back, which is how a probe finds the mechanism. */
static void ports_pci(struct ports_access *a)
{
	if (a->port >= PCI_CONFIG_DATA) {
		pci_data(a);
		return;
	}
	if (a->port == PORTS_RESET && a->size == 1) {
		if (!a->in && (a->v & PORTS_RESET_CPU))
			a->p->ops->reset(a->p->ctx, a->vcpu, "port 0xcf9");
		else if (a->in)
			a->v = 0;
		return;
	}
	if (a->port != PCI_CONFIG_ADDRESS || a->size != 4)
		return;
	pthread_mutex_lock(&a->p->lock);
	if (a->in)
		a->v = a->p->pci_address;
	else
		a->p->pci_address = a->v;
	pthread_mutex_unlock(&a->p->lock);
}

static const struct {
	uint16_t first, last;
	ports_fn *fn;
} ports_map[] = {
	{ SERIAL_PORT, SERIAL_PORT + SERIAL_PORTS - 1, ports_serial },
	{ DOORBELL_PORT, DOORBELL_PORT, ports_doorbell },
	{ PORTS_KBD_DATA, PORTS_KBD_DATA, ports_kbd },
	{ PORTS_KBD_STATUS, PORTS_KBD_STATUS, ports_kbd },
	{ PORTS_SPEAKER, PORTS_SPEAKER, ports_speaker },
	{ PORTS_RTC_INDEX, PORTS_RTC_DATA, ports_rtc },
	{ PORTS_POST, PORTS_POST, ports_none },
	{ PORTS_FAST, PORTS_FAST, ports_fast },
	{ PORTS_SLEEP_STATUS, PORTS_SLEEP, ports_sleep },
	{ PORTS_POWEROFF, PORTS_POWEROFF, ports_poweroff },
	{ PCI_CONFIG_ADDRESS, PCI_CONFIG_DATA + 3, ports_pci },
};

static ports_fn *ports_find(uint16_t port)
{
	for (size_t i = 0; i < sizeof(ports_map) / sizeof(ports_map[0]); i++) {
		if (port >= ports_map[i].first && port <= ports_map[i].last)
			return ports_map[i].fn;
	}
	return ports_none;
}

void vmm_ports_io(struct ports *p, void *vcpu, bool in, uint16_t port, unsigned size,
		  unsigned count, uint8_t *data)
{
	ports_fn *fn = ports_find(port);

	for (unsigned i = 0; i < count; i++, data += size) {
		struct ports_access a = { p, vcpu, port, (uint8_t)size, in, in ? UINT32_MAX : 0 };

		if (!in)
			memcpy(&a.v, data, size); /* x86: the low bytes come first */
		fn(&a);
		if (in)
			memcpy(data, &a.v, size);
	}
}

int vmm_ports_new(const struct ports_ops *ops, void *ctx, struct serial *serial, struct ports **out,
		  struct err *e)
{
	struct ports *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(e, -ENOMEM, "no memory for the I/O ports");
	p->ops = ops;
	p->ctx = ctx;
	p->serial = serial;
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

void vmm_ports_free(struct ports *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Version u32, PCI address u32, RTC index u8, speaker u8. */
int vmm_ports_state_save(struct ports *p, struct buf *out, struct err *e)
{
	uint8_t bytes[10];
	struct wr w = wr_of(bytes, sizeof(bytes));

	pthread_mutex_lock(&p->lock);
	wr_le32(&w, PORTS_STATE_VERSION);
	wr_le32(&w, p->pci_address);
	wr_u8(&w, p->rtc_index);
	wr_u8(&w, p->speaker);
	pthread_mutex_unlock(&p->lock);
	return buf_add(out, bytes, w.len, e);
}

int vmm_ports_state_load(struct ports *p, const uint8_t *b, size_t len, struct err *e)
{
	struct rd in = rd_of(b, len);
	uint32_t version = 0, pci = 0;
	uint8_t rtc = 0, speaker = 0;

	if (rd_le32(&in, &version) || version != PORTS_STATE_VERSION)
		return err_set(e, -EPROTO, "port state of version %u, this monitor knows %u",
			       version, PORTS_STATE_VERSION);
	rd_le32(&in, &pci);
	rd_u8(&in, &rtc);
	rd_u8(&in, &speaker);
	if (!rd_done(&in) || (rtc & ~PORTS_RTC_INDEX_KEPT) || (speaker & ~PORTS_SPEAKER_KEPT))
		return err_set(e, -EPROTO, "port state is malformed");
	pthread_mutex_lock(&p->lock);
	p->pci_address = pci;
	p->rtc_index = rtc;
	p->speaker = speaker;
	pthread_mutex_unlock(&p->lock);
	return 0;
}
