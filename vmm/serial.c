/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/serial.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/rdwr.h"

enum { SER_DATA, SER_IER, SER_IIR_FCR, SER_LCR, SER_MCR, SER_LSR, SER_MSR, SER_SCR };

#define SER_FIFO 16u
#define SER_STATE_VERSION 1u

#define SER_IER_RX 0x01u
#define SER_IER_THRE 0x02u
#define SER_IER_LINE 0x04u
#define SER_IER_MODEM 0x08u
#define SER_IER_ALL 0x0fu
#define SER_IIR_NONE 0x01u
#define SER_IIR_MODEM 0x00u
#define SER_IIR_THRE 0x02u
#define SER_IIR_RX 0x04u
#define SER_IIR_LINE 0x06u
#define SER_IIR_TIMEOUT 0x0cu
#define SER_IIR_FIFO 0xc0u
#define SER_FCR_ON 0x01u
#define SER_FCR_CLEAR_RX 0x02u
#define SER_FCR_KEPT 0xc9u /* enable, DMA mode, trigger level */
#define SER_LCR_DLAB 0x80u
#define SER_MCR_DTR 0x01u
#define SER_MCR_RTS 0x02u
#define SER_MCR_OUT1 0x04u
#define SER_MCR_OUT2 0x08u
#define SER_MCR_LOOP 0x10u
#define SER_MCR_ALL 0x1fu
#define SER_LSR_DATA 0x01u
#define SER_LSR_OVERRUN 0x02u
#define SER_LSR_EMPTY 0x60u /* holding and shift register: output never waits */
#define SER_MSR_CTS 0x10u
#define SER_MSR_DSR 0x20u
#define SER_MSR_RI 0x40u
#define SER_MSR_DCD 0x80u
#define SER_MSR_LINES 0xf0u
#define SER_MSR_DELTA 0x0fu
#define SER_MSR_RI_FELL 0x04u

struct ser_regs {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr;     /* lines in the upper half, changes since the last read in the lower */
	uint8_t overrun; /* 0 or 1 */
	uint8_t thre;    /* 0 or 1: transmitter-empty interrupt not yet taken */
	uint8_t nfifo;
	uint8_t fifo[SER_FIFO];
};

struct serial {
	const struct serial_ops *ops;
	void *ctx;
	pthread_mutex_t lock; /* a leaf, but for ops->irq(); guards what follows */
	struct ser_regs r;
	bool refused; /* input was, since the last ops->room() */
	size_t qhead, qlen;
	uint8_t queue[SERIAL_QUEUE];
};

/* --- under the lock ------------------------------------------------------------------------- */

static unsigned ser_fifo_cap(const struct ser_regs *r)
{
	return r->fcr & SER_FCR_ON ? SER_FIFO : 1;
}

static uint8_t ser_rx_cause(const struct ser_regs *r)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };

	if (!(r->fcr & SER_FCR_ON) || r->nfifo >= trigger[r->fcr >> 6])
		return SER_IIR_RX;
	return SER_IIR_TIMEOUT; /* the line is idle at once: what came is all there is */
}

static uint8_t ser_cause(const struct ser_regs *r)
{
	if ((r->ier & SER_IER_LINE) && r->overrun)
		return SER_IIR_LINE;
	if ((r->ier & SER_IER_RX) && r->nfifo)
		return ser_rx_cause(r);
	if ((r->ier & SER_IER_THRE) && r->thre)
		return SER_IIR_THRE;
	if ((r->ier & SER_IER_MODEM) && (r->msr & SER_MSR_DELTA))
		return SER_IIR_MODEM;
	return SER_IIR_NONE;
}

static void ser_irq_update(struct serial *s)
{
	s->ops->irq(s->ctx, ser_cause(&s->r) != SER_IIR_NONE);
}

static void ser_fifo_push(struct ser_regs *r, uint8_t v)
{
	if (r->nfifo < ser_fifo_cap(r))
		r->fifo[r->nfifo++] = v;
	else
		r->overrun = 1;
}

/* The line rests while the guest has the port in loopback. */
static void ser_refill(struct serial *s)
{
	if (s->r.mcr & SER_MCR_LOOP)
		return;
	while (s->qlen && s->r.nfifo < ser_fifo_cap(&s->r)) {
		ser_fifo_push(&s->r, s->queue[s->qhead]);
		s->qhead = (s->qhead + 1) % SERIAL_QUEUE;
		s->qlen--;
	}
}

static uint8_t ser_data_read(struct serial *s)
{
	uint8_t v = s->r.fifo[0];

	if (s->r.lcr & SER_LCR_DLAB)
		return s->r.dll;
	if (!s->r.nfifo)
		return 0;
	s->r.nfifo--;
	memmove(s->r.fifo, s->r.fifo + 1, s->r.nfifo);
	ser_refill(s);
	return v;
}

static uint8_t ser_iir_read(struct serial *s)
{
	uint8_t cause = ser_cause(&s->r);

	if (cause == SER_IIR_THRE)
		s->r.thre = 0;
	return cause | (s->r.fcr & SER_FCR_ON ? SER_IIR_FIFO : 0);
}

static uint8_t ser_lsr_read(struct serial *s)
{
	uint8_t v = SER_LSR_EMPTY;

	if (s->r.nfifo)
		v |= SER_LSR_DATA;
	if (s->r.overrun)
		v |= SER_LSR_OVERRUN;
	s->r.overrun = 0;
	return v;
}

static uint8_t ser_msr_read(struct serial *s)
{
	uint8_t v = s->r.msr;

	s->r.msr &= SER_MSR_LINES;
	return v;
}

/* A terminal that is always ready; in loopback the port's own outputs. */
static uint8_t ser_lines(uint8_t mcr)
{
	if (!(mcr & SER_MCR_LOOP))
		return SER_MSR_CTS | SER_MSR_DSR | SER_MSR_DCD;
	return (mcr & SER_MCR_RTS ? SER_MSR_CTS : 0) | (mcr & SER_MCR_DTR ? SER_MSR_DSR : 0) |
	       (mcr & SER_MCR_OUT1 ? SER_MSR_RI : 0) | (mcr & SER_MCR_OUT2 ? SER_MSR_DCD : 0);
}

static void ser_mcr_write(struct serial *s, uint8_t v)
{
	uint8_t lines, changed;

	s->r.mcr = v & SER_MCR_ALL;
	lines = ser_lines(s->r.mcr);
	changed = (lines ^ s->r.msr) >> 4;
	if (lines & SER_MSR_RI)
		changed &= (uint8_t)~SER_MSR_RI_FELL; /* RI counts only when it falls */
	s->r.msr = lines | (s->r.msr & SER_MSR_DELTA) | changed;
	ser_refill(s);
}

static void ser_ier_write(struct serial *s, uint8_t v)
{
	if (s->r.lcr & SER_LCR_DLAB) {
		s->r.dlm = v;
		return;
	}
	/* Turning it on with an empty transmitter interrupts at once; drivers test for that. */
	if ((v & SER_IER_THRE) && !(s->r.ier & SER_IER_THRE))
		s->r.thre = 1;
	s->r.ier = v & SER_IER_ALL;
}

static void ser_fcr_write(struct serial *s, uint8_t v)
{
	if ((v & SER_FCR_CLEAR_RX) || ((v ^ s->r.fcr) & SER_FCR_ON))
		s->r.nfifo = 0;
	s->r.fcr = v & SER_FCR_ON ? v & SER_FCR_KEPT : 0;
	ser_refill(s);
}

/* True when v is to go out on the line. */
static bool ser_data_write(struct serial *s, uint8_t v)
{
	if (s->r.lcr & SER_LCR_DLAB) {
		s->r.dll = v;
		return false;
	}
	s->r.thre = 1;
	if (s->r.mcr & SER_MCR_LOOP) {
		ser_fifo_push(&s->r, v);
		return false;
	}
	return true;
}

static uint8_t ser_reg_read(struct serial *s, unsigned reg)
{
	switch (reg) {
	case SER_DATA:
		return ser_data_read(s);
	case SER_IER:
		return s->r.lcr & SER_LCR_DLAB ? s->r.dlm : s->r.ier;
	case SER_IIR_FCR:
		return ser_iir_read(s);
	case SER_LCR:
		return s->r.lcr;
	case SER_MCR:
		return s->r.mcr;
	case SER_LSR:
		return ser_lsr_read(s);
	case SER_MSR:
		return ser_msr_read(s);
	default:
		return s->r.scr;
	}
}

static bool ser_reg_write(struct serial *s, unsigned reg, uint8_t v)
{
	switch (reg) {
	case SER_DATA:
		return ser_data_write(s, v);
	case SER_IER:
		ser_ier_write(s, v);
		break;
	case SER_IIR_FCR:
		ser_fcr_write(s, v);
		break;
	case SER_LCR:
		s->r.lcr = v;
		break;
	case SER_MCR:
		ser_mcr_write(s, v);
		break;
	case SER_SCR:
		s->r.scr = v;
		break;
	default:
		break; /* LSR and MSR are read only */
	}
	return false;
}

/* --- the port ------------------------------------------------------------------------------- */

int vmm_serial_new(const struct serial_ops *ops, void *ctx, struct serial **out, struct err *e)
{
	struct serial *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(e, -ENOMEM, "no memory for the serial port");
	s->ops = ops;
	s->ctx = ctx;
	s->r.msr = ser_lines(0);
	s->r.dll = 12; /* 9600 baud, as after reset by PC firmware */
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return 0;
}

void vmm_serial_free(struct serial *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void vmm_serial_write(struct serial *s, unsigned reg, uint8_t v)
{
	bool out;

	pthread_mutex_lock(&s->lock);
	out = ser_reg_write(s, reg, v);
	ser_irq_update(s);
	pthread_mutex_unlock(&s->lock);
	if (out)
		s->ops->output(s->ctx, &v, 1);
}

uint8_t vmm_serial_read(struct serial *s, unsigned reg)
{
	bool room;
	uint8_t v;

	pthread_mutex_lock(&s->lock);
	v = ser_reg_read(s, reg);
	ser_irq_update(s);
	room = s->refused && s->qlen <= SERIAL_QUEUE / 2;
	s->refused = s->refused && !room;
	pthread_mutex_unlock(&s->lock);
	if (room)
		s->ops->room(s->ctx);
	return v;
}

size_t vmm_serial_input(struct serial *s, const uint8_t *p, size_t len)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = SERIAL_QUEUE - s->qlen;
	if (n > len)
		n = len;
	for (size_t i = 0; i < n; i++)
		s->queue[(s->qhead + s->qlen + i) % SERIAL_QUEUE] = p[i];
	s->qlen += n;
	if (n < len)
		s->refused = true;
	ser_refill(s);
	ser_irq_update(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* --- state: version u32, registers, FIFO, queue length u32, queue ---------------------------- */

static int ser_queue_save(struct serial *s, struct buf *out, struct err *e)
{
	int r = buf_add_le32(out, (uint32_t)s->qlen, e);

	for (size_t i = 0; !r && i < s->qlen; i++)
		r = buf_add(out, &s->queue[(s->qhead + i) % SERIAL_QUEUE], 1, e);
	return r;
}

int vmm_serial_state_save(struct serial *s, struct buf *out, struct err *e)
{
	int r = buf_add_le32(out, SER_STATE_VERSION, e);

	pthread_mutex_lock(&s->lock);
	if (!r) {
		const uint8_t regs[] = { s->r.ier,     s->r.fcr,  s->r.lcr,  s->r.mcr,
					 s->r.scr,     s->r.dll,  s->r.dlm,  s->r.msr,
					 s->r.overrun, s->r.thre, s->r.nfifo };

		r = buf_add(out, regs, sizeof(regs), e);
	}
	if (!r)
		r = buf_add(out, s->r.fifo, SER_FIFO, e);
	if (!r)
		r = ser_queue_save(s, out, e);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static bool ser_regs_get(struct rd *in, struct ser_regs *r)
{
	rd_u8(in, &r->ier);
	rd_u8(in, &r->fcr);
	rd_u8(in, &r->lcr);
	rd_u8(in, &r->mcr);
	rd_u8(in, &r->scr);
	rd_u8(in, &r->dll);
	rd_u8(in, &r->dlm);
	rd_u8(in, &r->msr);
	rd_u8(in, &r->overrun);
	rd_u8(in, &r->thre);
	rd_u8(in, &r->nfifo);
	rd_bytes(in, r->fifo, SER_FIFO);
	return rd_ok(in);
}

static bool ser_regs_sane(const struct ser_regs *r)
{
	return !(r->ier & ~SER_IER_ALL) && !(r->fcr & ~SER_FCR_KEPT) && !(r->mcr & ~SER_MCR_ALL) &&
	       r->overrun <= 1 && r->thre <= 1 && r->nfifo <= ser_fifo_cap(r) &&
	       (r->msr & SER_MSR_LINES) == ser_lines(r->mcr);
}

int vmm_serial_state_load(struct serial *s, const uint8_t *p, size_t len, struct err *e)
{
	struct rd in = rd_of(p, len);
	uint32_t version = 0, qlen = 0;
	const uint8_t *queue = NULL;
	struct ser_regs r = { 0 };

	if (rd_le32(&in, &version) || version != SER_STATE_VERSION)
		return err_set(e, -EPROTO, "serial state of version %u, this monitor knows %u",
			       version, SER_STATE_VERSION);
	if (!ser_regs_get(&in, &r) || rd_le32(&in, &qlen))
		return err_set(e, -EPROTO, "serial state is cut short");
	if (qlen > SERIAL_QUEUE || rd_span(&in, &queue, qlen) || !rd_done(&in))
		return err_set(e, -EPROTO,
			       "serial state with %u bytes of input in the wrong length", qlen);
	if (!ser_regs_sane(&r))
		return err_set(e, -EPROTO, "serial state no port can be in");
	pthread_mutex_lock(&s->lock);
	s->r = r;
	s->qhead = 0;
	s->qlen = qlen;
	memcpy(s->queue, queue, qlen);
	ser_irq_update(s);
	pthread_mutex_unlock(&s->lock);
	return 0;
}
