/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The driver's side of the queues, over tests/unit/dev_util.h. */

#include "tests/unit/dev_util.h"

#define D_NEXT VRING_DESC_F_NEXT
#define D_WRITE VRING_DESC_F_WRITE

/* Everything from reset to DRIVER_OK. */
static inline void util_drive(struct util_guest *g, unsigned slot, unsigned nqueue, uint64_t extra)
{
	util_pci_on(g, slot);
	util_accept(g, slot, UTIL_NEEDED | extra);
	for (unsigned q = 0; q < nqueue; q++)
		util_queue(g, slot, q);
	util_write(g, slot, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	util_status_set(g, slot, VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void *util_at(struct util_guest *g, uint64_t at, uint64_t len)
{
	void *p = util_mem(g, gpa(at), len);

	assert_non_null(p);
	return p;
}

static inline void util_desc(struct util_guest *g, unsigned q, unsigned i, uint64_t at,
			     uint32_t len, uint16_t flags, uint16_t next)
{
	struct wr w = wr_of(util_at(g, UTIL_DESC(q) + 16 * i, 16), 16);

	wr_le64(&w, at);
	wr_le32(&w, len);
	wr_le16(&w, flags);
	wr_le16(&w, next);
}

static inline uint16_t util_word(struct util_guest *g, uint64_t at)
{
	uint16_t v;

	memcpy(&v, util_at(g, at, 2), 2);
	return v;
}

static inline void util_word_set(struct util_guest *g, uint64_t at, uint16_t v)
{
	memcpy(util_at(g, at, 2), &v, 2);
}

/* One more request, which begins with this descriptor; no doorbell yet. */
static inline void util_offer(struct util_guest *g, unsigned q, uint16_t head)
{
	uint16_t idx = util_word(g, UTIL_DRIVER(q) + 2);

	util_word_set(g, UTIL_DRIVER(q) + 4 + 2 * (idx % UTIL_SIZE), head);
	util_word_set(g, UTIL_DRIVER(q) + 2, (uint16_t)(idx + 1));
}

/* How many requests the device says it did. */
static inline uint16_t util_used(struct util_guest *g, unsigned q)
{
	return util_word(g, UTIL_DEVICE(q) + 2);
}

/* Bytes written to the n-th request. */
static inline uint32_t util_used_len(struct util_guest *g, unsigned q, uint16_t n)
{
	uint32_t v;

	memcpy(&v, util_at(g, UTIL_DEVICE(q) + 4 + 8 * (n % UTIL_SIZE) + 4, 4), 4);
	return v;
}

/* Ring and let the devices work. No byte changes that was not reported. */
static inline void util_step(struct util_guest *g, unsigned slot)
{
	memcpy(g->before, g->ram, UTIL_LEN);
	memset(g->wrote, 0, sizeof(g->wrote));
	util_write(g, slot, UTIL_NOTIFY, 2, 0);
	dev_bus_step(g->bus);
	for (size_t i = 0; i < UTIL_LEN; i++)
		if (g->ram[i] != g->before[i] && !g->wrote[i])
			fail_msg("byte %#zx was written and not reported", i);
}

static inline bool util_broken(struct util_guest *g, unsigned slot)
{
	return util_status(g, slot) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* Save, and load into a bus of its own with these devices; the memory comes along. */
static inline struct util_guest *util_move(struct util_guest *from, struct dev_virtio **dev,
					   unsigned n)
{
	struct util_guest *to = util_guest_new(dev, n);
	auto_buf struct buf state = { 0 };
	struct err e = { 0 };

	dev_bus_pause(from->bus);
	dev_bus_pause(to->bus);
	assert_int_equal(dev_bus_state_save(from->bus, &state, &e), 0);
	assert_int_equal(dev_bus_release(from->bus, &e), 0);
	if (dev_bus_state_load(to->bus, state.p, state.len, &e) < 0)
		fail_msg("%s", e.msg);
	memcpy(to->ram, from->ram, UTIL_LEN);
	dev_bus_resume(to->bus);
	return to;
}
