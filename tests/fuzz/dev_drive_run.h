/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the input of tests/fuzz/dev_drive.h says, done step by step; takes the device. */

#include "tests/fuzz/dev_drive.h"

#include <stdio.h>

#include "base/log.h"

/* Up to 32 bytes of the input go into memory. */
static inline void drive_poke(struct drive *d, struct rd *in)
{
	uint16_t at = 0;
	uint8_t n = 0;
	const uint8_t *p;

	if (rd_le16(in, &at) || rd_u8(in, &n) || rd_span(in, &p, n % 33))
		return;
	at %= DRIVE_LEN;
	memcpy(d->ram + at, p, n % 33u < DRIVE_LEN - at ? n % 33u : DRIVE_LEN - at);
}

/* A descriptor at a likely place, its length and flags from the input, offered if it says so. */
static inline void drive_request(struct drive *d, struct rd *in)
{
	uint8_t where = 0, how = 0;
	uint16_t at = 0, len = 0, idx;
	uint8_t *ring, *desc;
	struct wr w;

	rd_u8(in, &where);
	rd_u8(in, &how);
	rd_le16(in, &at);
	if (rd_le16(in, &len))
		return;
	ring = drive_mem(d, gpa(DRIVE_RING(where & 1)), 0x400);
	desc = ring + 16 * (where >> 1 & (DRIVE_SIZE - 1));
	w = wr_of(desc, 16);
	wr_le64(&w, DRIVE_RAM + at % DRIVE_LEN);
	wr_le32(&w, len);
	wr_le16(&w, how & 7);
	wr_le16(&w, how >> 3 & (DRIVE_SIZE - 1));
	if (!(how & 0x80))
		return;
	memcpy(&idx, ring + 0x102, 2);
	ring[0x104 + 2 * (idx % DRIVE_SIZE)] = where >> 1 & (DRIVE_SIZE - 1);
	ring[0x105 + 2 * (idx % DRIVE_SIZE)] = 0;
	idx++;
	memcpy(ring + 0x102, &idx, 2);
}

static inline void drive_mmio(struct drive *d, struct rd *in)
{
	static const unsigned lens[] = { 1, 2, 4, 8 };
	uint16_t at = 0;
	uint8_t how = 0, b[8];
	uint64_t v = 0;

	rd_u8(in, &how);
	rd_le16(in, &at);
	if (rd_le64(in, &v))
		return;
	memcpy(b, &v, 8);
	dev_bus_mmio(d->bus, gpa(PCI_SLOT_BARS(DRIVE_SLOT) + at % 0x5008), how & 4, b,
		     lens[how & 3]);
}

static inline void drive_config(struct drive *d, struct rd *in)
{
	uint8_t reg = 0, how = 0;
	uint32_t v = 0;

	rd_u8(in, &reg);
	rd_u8(in, &how);
	if (rd_le32(in, &v))
		return;
	dev_bus_config(d->bus, 0x80000000u | (DRIVE_SLOT + (how >> 6)) << 11 | (reg & 0xfc),
		       how & 3, 1u << (how >> 2 & 3), how & 0x10, &v);
}

static inline void drive_work(struct drive *d)
{
	memcpy(d->before, d->ram, DRIVE_LEN);
	memset(d->wrote, 0, sizeof(d->wrote));
	dev_bus_resume(d->bus);
	dev_bus_step(d->bus);
	dev_bus_pause(d->bus);
	for (size_t i = 0; i < DRIVE_LEN; i++)
		if (d->ram[i] != d->before[i] && !d->wrote[i])
			abort();
}

static inline void drive_state(struct drive *d)
{
	struct buf a = { 0 }, b = { 0 };
	struct err e = { 0 };

	if (dev_bus_state_save(d->bus, &a, &e) || dev_bus_state_load(d->bus, a.p, a.len, &e) ||
	    dev_bus_state_save(d->bus, &b, &e) || a.len != b.len || memcmp(a.p, b.p, a.len) != 0) {
		fprintf(stderr, "state: %s\n", e.msg);
		abort();
	}
	buf_fini(&a);
	buf_fini(&b);
}

/* The rest of the input as a state that a hostile source sends. */
static inline void drive_load(struct drive *d, struct rd *in)
{
	struct err e = { 0 };

	if (dev_bus_state_load(d->bus, in->p, in->len, &e) < 0 && !e.msg[0])
		abort();
	in->len = 0;
}

static inline void drive_one(struct drive *d, uint8_t what, unsigned nqueue, struct rd *in)
{
	switch (what % 8) {
	case 0:
		drive_poke(d, in);
		break;
	case 1:
	case 2:
		drive_request(d, in);
		break;
	case 3:
		drive_mmio(d, in);
		break;
	case 4:
		drive_config(d, in);
		break;
	case 5:
		drive_work(d);
		break;
	case 6:
		drive_state(d);
		drive_driver(d, nqueue, what & 0x80);
		break;
	default:
		if (what == 0xff)
			drive_load(d, in);
		break;
	}
}

static inline int drive_run(struct dev_virtio *dev, unsigned nqueue, const uint8_t *data,
			    size_t size)
{
	static const struct dev_host_ops ops = { drive_mem, drive_wrote, drive_msi,
						 drive_doorbell };
	struct rd in = rd_of(data, size);
	struct drive d = { 0 };
	const struct dev_host host = { &ops, &d };
	struct err e = { 0 };
	uint8_t what = 0;

	log_level_set(LOG_ERR); /* that drivers are broken is no news here */
	d.ram = calloc(1, DRIVE_LEN);
	d.before = calloc(1, DRIVE_LEN);
	if (!d.ram || !d.before || dev_bus_new(&host, &d.bus, &e) || dev_bus_add(d.bus, dev, &e))
		abort();
	drive_driver(&d, nqueue, size & 1);
	for (unsigned i = 0; i < DRIVE_STEPS && !rd_u8(&in, &what); i++)
		drive_one(&d, what, nqueue, &in);
	drive_work(&d);
	drive_state(&d);
	dev_bus_free(d.bus);
	free(d.ram);
	free(d.before);
	return 0;
}
