/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dev_driver.h"

#include <sys/socket.h>
#include <unistd.h>

#define SLOT 1u
#define IN 0u
#define OUT 1u
#define HEADER 12u
#define BUFFERS (UTIL_DATA + 0x10000)
#define BUFFER 2048u

static const uint8_t mac[DEV_MAC_LEN] = { 0x52, 0x54, 0, 1, 2, 3 };

/* A pair of sockets that keep frames apart stands in for a tap device; wire is the far end. */
static struct dev_virtio *card(const uint8_t address[DEV_MAC_LEN], int *wire)
{
	struct dev_virtio *dev;
	struct dev_link *link;
	struct err e = { 0 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(dev_link_tap(pair[0], &link, &e), 0);
	assert_int_equal(dev_net_new(address, 1, link, &dev, &e), 0);
	*wire = pair[1];
	return dev;
}

static struct util_guest *one(int *wire)
{
	struct dev_virtio *dev = card(mac, wire);
	struct util_guest *g = util_guest_new(&dev, 1);

	util_drive(g, SLOT, 2, 0);
	return g;
}

static void give_buffer(struct util_guest *g, unsigned i, uint32_t len)
{
	util_desc(g, IN, i, BUFFERS + BUFFER * i, len, D_WRITE, 0);
	util_offer(g, IN, (uint16_t)i);
}

static void transmit(struct util_guest *g, uint32_t len)
{
	memset(util_at(g, UTIL_DATA, HEADER), 0, HEADER);
	memset(util_at(g, UTIL_DATA + HEADER, len), 0x5a, len);
	util_desc(g, OUT, 0, UTIL_DATA, HEADER, D_NEXT, 1);
	util_desc(g, OUT, 1, UTIL_DATA + HEADER, len, 0, 0);
	util_offer(g, OUT, 0);
	util_step(g, SLOT);
}

static void card_shows_its_address_and_link(void **state)
{
	int wire;
	struct util_guest *g = one(&wire);

	(void)state;
	for (unsigned i = 0; i < DEV_MAC_LEN; i++)
		assert_int_equal(util_read(g, SLOT, UTIL_CONFIG + i, 1), mac[i]);
	assert_int_equal(util_read(g, SLOT, UTIL_CONFIG + 6, 2), 1);
	util_guest_free(g);
	close(wire);
}

static void frames_leave_as_they_are(void **state)
{
	uint8_t frame[4096];
	int wire;
	struct util_guest *g = one(&wire);

	(void)state;
	transmit(g, 60);
	assert_int_equal(recv(wire, frame, sizeof(frame), MSG_DONTWAIT), 60);
	assert_int_equal(frame[0], 0x5a);
	assert_int_equal(frame[59], 0x5a);
	assert_int_equal(util_used(g, OUT), 1);
	transmit(g, 13); /* shorter than an Ethernet header */
	assert_int_equal(util_used(g, OUT), 2);
	assert_int_equal(recv(wire, frame, sizeof(frame), MSG_DONTWAIT), -1);
	assert_false(util_broken(g, SLOT));
	util_guest_free(g);
	close(wire);
}

static void frames_wait_for_buffers(void **state)
{
	uint8_t frame[100];
	const uint8_t *got;
	int wire;
	struct util_guest *g = one(&wire);

	(void)state;
	memset(frame, 7, sizeof(frame));
	assert_int_equal(send(wire, frame, sizeof(frame), 0), sizeof(frame));
	util_step(g, SLOT);
	assert_int_equal(util_used(g, IN), 0);
	give_buffer(g, 0, BUFFER);
	util_step(g, SLOT);
	assert_int_equal(util_used(g, IN), 1);
	assert_int_equal(util_used_len(g, IN, 0), HEADER + sizeof(frame));
	got = util_at(g, BUFFERS, BUFFER);
	assert_int_equal(got[10], 1); /* one buffer */
	assert_memory_equal(got + HEADER, frame, sizeof(frame));
	util_guest_free(g);
	close(wire);
}

static void frame_too_long_for_its_buffer_is_lost_alone(void **state)
{
	uint8_t frame[200] = { 0 };
	int wire;
	struct util_guest *g = one(&wire);

	(void)state;
	give_buffer(g, 0, HEADER + 100);
	assert_int_equal(send(wire, frame, 101, 0), 101);
	util_step(g, SLOT);
	assert_int_equal(util_used(g, IN), 0);
	assert_int_equal(send(wire, frame, 100, 0), 100);
	util_step(g, SLOT);
	assert_int_equal(util_used(g, IN), 1);
	assert_false(util_broken(g, SLOT));
	util_guest_free(g);
	close(wire);
}

static void hostile_receive_ring_breaks_the_card(void **state)
{
	uint8_t frame[100] = { 0 };
	int wire;
	struct util_guest *g = one(&wire);

	(void)state;
	util_desc(g, IN, 0, 0x1000, BUFFER, D_WRITE, 0);
	util_offer(g, IN, 0);
	assert_int_equal(send(wire, frame, sizeof(frame), 0), sizeof(frame));
	util_step(g, SLOT);
	util_step(g, SLOT); /* the first round only gets it going */
	assert_true(util_broken(g, SLOT));
	util_guest_free(g);
	close(wire);
}

static void target_announces_the_guests_own_address(void **state)
{
	static const uint8_t other[DEV_MAC_LEN] = { 0x52, 0x54, 0, 9, 9, 9 };
	uint8_t frame[100], all[DEV_MAC_LEN];
	int wire, there;
	struct util_guest *g = one(&wire), *to;
	struct dev_virtio *dev = card(other, &there);

	(void)state;
	to = util_move(g, &dev, 1);
	assert_int_equal(util_read(to, SLOT, UTIL_CONFIG + 5, 1), mac[5]);
	dev_bus_pause(to->bus);
	dev_bus_announce(to->bus);
	dev_bus_step(to->bus);
	assert_int_equal(recv(there, frame, sizeof(frame), MSG_DONTWAIT), -1); /* not yet */
	dev_bus_resume(to->bus);
	dev_bus_step(to->bus);
	assert_int_equal(recv(there, frame, sizeof(frame), MSG_DONTWAIT), 60);
	memset(all, 0xff, sizeof(all));
	assert_memory_equal(frame, all, DEV_MAC_LEN);
	assert_memory_equal(frame + 6, mac, DEV_MAC_LEN);
	assert_int_equal(frame[12] << 8 | frame[13], 0x8035);
	assert_int_equal(frame[21], 3);
	assert_memory_equal(frame + 22, mac, DEV_MAC_LEN);
	assert_memory_equal(frame + 32, mac, DEV_MAC_LEN);
	assert_int_equal(recv(there, frame, sizeof(frame), MSG_DONTWAIT), -1);
	while (recv(there, frame, sizeof(frame), MSG_DONTWAIT) < 0) /* and says it again */
		dev_bus_step(to->bus);
	util_guest_free(g);
	util_guest_free(to);
	close(wire);
	close(there);
}

/* --- the network in user space -------------------------------------------------------------- */

static size_t dhcp_discover(uint8_t *f)
{
	static const uint8_t ip[] = { 0x45, 0, 0, 0, 0, 0, 0,   0,   64,  17,
				      0,    0, 0, 0, 0, 0, 255, 255, 255, 255 };
	const size_t bootp = 14 + 20 + 8, len = bootp + 240 + 4;
	uint32_t sum = 0;

	memset(f, 0, len);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	f[12] = 8;
	memcpy(f + 14, ip, sizeof(ip));
	f[16] = (uint8_t)((len - 14) >> 8);
	f[17] = (uint8_t)(len - 14);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(f[14 + i] << 8 | f[15 + i]);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[24] = (uint8_t)(sum >> 8);
	f[25] = (uint8_t)sum;
	f[35] = 68;
	f[37] = 67;
	f[38] = (uint8_t)((len - 34) >> 8);
	f[39] = (uint8_t)(len - 34);
	memcpy(f + bootp, (const uint8_t[]){ 1, 1, 6, 0 }, 4);
	memcpy(f + bootp + 28, mac, 6);
	memcpy(f + bootp + 236, (const uint8_t[]){ 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 }, 8);
	return len;
}

static void user_network_gives_out_an_address(void **state)
{
	struct dev_virtio *dev;
	struct dev_link *link;
	struct util_guest *g;
	struct err e = { 0 };
	const uint8_t *got;
	uint8_t frame[512];
	size_t len;

	(void)state;
	assert_int_equal(dev_link_user(NULL, 0, &link, &e), 0);
	assert_int_equal(dev_net_new(mac, 1, link, &dev, &e), 0);
	g = util_guest_new(&dev, 1);
	util_drive(g, SLOT, 2, 0);
	give_buffer(g, 0, BUFFER);
	len = dhcp_discover(frame);
	memset(util_at(g, UTIL_DATA, HEADER), 0, HEADER);
	memcpy(util_at(g, UTIL_DATA + HEADER, len), frame, len);
	util_desc(g, OUT, 0, UTIL_DATA, HEADER + (uint32_t)len, 0, 0);
	util_offer(g, OUT, 0);
	util_step(g, SLOT);
	assert_int_equal(util_used(g, OUT), 1);
	assert_int_equal(util_used(g, IN), 1);
	got = (const uint8_t *)util_at(g, BUFFERS, BUFFER) + HEADER + 42;
	assert_int_equal(got[0], 2);
	assert_memory_equal(got + 16, ((const uint8_t[]){ 10, 0, 2, 15 }), 4);
	util_guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(card_shows_its_address_and_link),
		cmocka_unit_test(frames_leave_as_they_are),
		cmocka_unit_test(frames_wait_for_buffers),
		cmocka_unit_test(frame_too_long_for_its_buffer_is_lost_alone),
		cmocka_unit_test(hostile_receive_ring_breaks_the_card),
		cmocka_unit_test(target_announces_the_guests_own_address),
		cmocka_unit_test(user_network_gives_out_an_address),
	};

	return cmocka_run_group_tests_name("dev_net", tests, NULL, NULL);
}
