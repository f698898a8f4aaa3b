/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/chan_util.h"

#include "chan/frame.h"
#include "chan/uri.h"

static struct chan_uri u;

static void takes_names_and_addresses(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_uri_parse("tls://host-b.example:4433", &u, &e), 0);
	assert_int_equal(u.kind, CHAN_KIND_TLS);
	assert_string_equal(u.host, "host-b.example");
	assert_int_equal(u.port, 4433);
	assert_int_equal(chan_uri_parse("tls://[2001:db8::2]:65535", &u, &e), 0);
	assert_string_equal(u.host, "2001:db8::2");
	assert_int_equal(u.port, 65535);
	assert_int_equal(chan_uri_parse("tls://0.0.0.0:0", &u, &e), 0);
	assert_int_equal(u.port, 0);
}

static void takes_paths(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chan_uri_parse("unix:/run/a:b", &u, &e), 0);
	assert_int_equal(u.kind, CHAN_KIND_UNIX);
	assert_string_equal(u.path, "/run/a:b");
	assert_int_equal(chan_uri_parse("file:guest.mig", &u, &e), 0);
	assert_int_equal(u.kind, CHAN_KIND_FILE);
	assert_string_equal(u.path, "guest.mig");
}

static void refuses_with_the_reason(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "examples" },
		{ "host:4433", "examples" },
		{ "http://host:1", "examples" },
		{ "tcp://host:1", "use tls://" },
		{ "tcp:host:1", "unix:PATH" },
		{ "tls://", "no host" },
		{ "tls://:4433", "0.0.0.0" },
		{ "tls://host", "no port" },
		{ "tls://host:", "not a number" },
		{ "tls://host:x", "not a number" },
		{ "tls://host:-1", "not a number" },
		{ "tls://host:+1", "not a number" },
		{ "tls://host: 1", "not a number" },
		{ "tls://host:01", "not a number" },
		{ "tls://host:65536", "over 65535" },
		{ "tls://host:100000", "not a number" },
		{ "tls://host:1/", "not a number" },
		{ "tls://ho st:1", "not a host name" },
		{ "tls://-host:1", "not a host name" },
		{ "tls://user@host:1", "not a host name" },
		{ "tls://2001:db8::2:4433", "brackets" },
		{ "tls://[2001:db8::2:4433", "no ]" },
		{ "tls://[2001:db8::2]4433", "no port" },
		{ "tls://[]:1", "no host" },
		{ "tls://[host]:1", "not an IPv6" },
		{ "tls://host\n:1", "control" },
		{ "unix:", "no path" },
		{ "file:", "no path" },
		{ "unix:/a\tb", "control" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err e = { 0 };

		assert_int_equal(chan_uri_parse(bad[i].text, &u, &e), -EINVAL);
		if (!strstr(e.msg, bad[i].says))
			fail_msg("\"%s\" is told: %s", bad[i].text, e.msg);
	}
}

static void refuses_what_is_too_long(void **state)
{
	char text[CHAN_PATH_MAX + 64];
	struct err e = { 0 };

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "unix:", 5);
	text[5 + CHAN_UNIX_PATH_MAX] = '\0';
	assert_int_equal(chan_uri_parse(text, &u, &e), 0);
	text[5 + CHAN_UNIX_PATH_MAX] = 'a';
	text[6 + CHAN_UNIX_PATH_MAX] = '\0';
	assert_int_equal(chan_uri_parse(text, &u, &e), -EINVAL);
	memset(text, 'a', sizeof(text));
	memcpy(text, "tls://", 6);
	memcpy(text + 6 + CHAN_HOST_MAX + 1, ":1", 3);
	assert_int_equal(chan_uri_parse(text, &u, &e), -EINVAL);
	memcpy(text + 6 + CHAN_HOST_MAX, ":1", 3);
	assert_int_equal(chan_uri_parse(text, &u, &e), 0);
}

static void frames_survive_encoding(void **state)
{
	struct chan_frame in = { 7, CHAN_HEAD_MAX, CHAN_BODY_MAX, UINT64_MAX }, out;
	static const uint8_t want[CHAN_FRAME_LEN] = { 'S', 'V', 'M', '1', 1, 0, 0, 0, 2, 0, 0, 0,
						      3,   0,   0,   0,   4, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t raw[CHAN_FRAME_LEN];
	struct err e = { 0 };

	(void)state;
	chan_frame_put(raw, &in);
	assert_int_equal(chan_frame_get(raw, &out, &e), 0);
	assert_int_equal(out.type, 7);
	assert_int_equal(out.head_len, CHAN_HEAD_MAX);
	assert_int_equal(out.body_len, CHAN_BODY_MAX);
	assert_true(out.seq == UINT64_MAX);
	chan_frame_put(raw, &(struct chan_frame){ 1, 2, 3, 4 });
	assert_memory_equal(raw, want, sizeof(want));
}

static void refuses_frames_over_the_maxima(void **state)
{
	struct chan_frame f = { 0 }, out = { .type = 77 };
	uint8_t raw[CHAN_FRAME_LEN];
	struct err e = { 0 };

	(void)state;
	f.head_len = CHAN_HEAD_MAX + 1;
	chan_frame_put(raw, &f);
	assert_int_equal(chan_frame_get(raw, &out, &e), -EPROTO);
	f = (struct chan_frame){ .body_len = UINT32_MAX };
	chan_frame_put(raw, &f);
	assert_int_equal(chan_frame_get(raw, &out, &e), -EPROTO);
	memset(raw, 0, sizeof(raw));
	assert_int_equal(chan_frame_get(raw, &out, &e), -EPROTO);
	assert_int_equal(out.type, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_names_and_addresses),
		cmocka_unit_test(takes_paths),
		cmocka_unit_test(refuses_with_the_reason),
		cmocka_unit_test(refuses_what_is_too_long),
		cmocka_unit_test(frames_survive_encoding),
		cmocka_unit_test(refuses_frames_over_the_maxima),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
